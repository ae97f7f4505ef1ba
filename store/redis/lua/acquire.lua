-- Takes the partition unless a live lease of another holds it.
-- KEYS: meta, commits. ARGV: now, lease time, holder, nonce of this call.
local now = clock(ARGV[1])
local m = redis.call('HMGET', KEYS[1], 'token', 'nonce', 'until', 'lseq', 'lhash')
local token = m[1]
if m[2] ~= ARGV[4] then
  if tonumber(m[3] or '0') > now then return {'held'} end
  token = redis.call('HINCRBY', KEYS[1], 'token', 1)
  redis.call('HDEL', KEYS[2], text(token - 16)) -- whoever asks for that commit is gone
  token = text(token)
end
redis.call('HSET', KEYS[1], 'holder', ARGV[3], 'nonce', ARGV[4], 'until', text(now + tonumber(ARGV[2])))
return {'ok', token, m[4] or '0', m[5] or ''}
