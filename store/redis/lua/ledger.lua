-- Lists ledger entries behind a number. KEYS: meta, ledger, by subject.
-- ARGV: after, limit, then for a subject its lower and upper bound.
local limit, seqs = tonumber(ARGV[2]), {}
if ARGV[3] then
  for _, v in ipairs(redis.call('ZRANGEBYLEX', KEYS[3], ARGV[3], ARGV[4], 'LIMIT', 0, limit)) do
    seqs[#seqs + 1] = text(struct.unpack('>I8', string.sub(v, -8)))
  end
else
  local m = redis.call('HMGET', KEYS[1], 'lseq', 'lfirst')
  local from = math.max(tonumber(ARGV[1]) + 1, tonumber(m[2] or '1'))
  for seq = from, math.min(from + limit - 1, tonumber(m[1] or '0')) do seqs[#seqs + 1] = text(seq) end
end
return fetch('HMGET', KEYS[2], seqs, {})
