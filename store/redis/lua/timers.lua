-- Lists timers by time, those before the bound. KEYS: meta, timers, by time.
-- ARGV: now, token, bound for ZRANGEBYLEX, limit.
if not live(KEYS[1], ARGV[2], clock(ARGV[1])) then return {'lost'} end
local found = redis.call('ZRANGEBYLEX', KEYS[3], '-', ARGV[3], 'LIMIT', 0, ARGV[4])
local ids, out = {}, {'ok'}
for _, v in ipairs(found) do
  ids[#ids + 1] = string.sub(v, 13)
  out[#out + 1] = ids[#ids]
end
return fetch('HMGET', KEYS[2], ids, out)
