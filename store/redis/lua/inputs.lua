-- Lists the inbox in order. KEYS: meta, order, inbox. ARGV: now, token, limit.
if not live(KEYS[1], ARGV[2], clock(ARGV[1])) then return {'lost'} end
local order = redis.call('ZRANGE', KEYS[2], 0, tonumber(ARGV[3]) - 1, 'WITHSCORES')
local ids, out = {}, {'ok'}
for i = 1, #order, 2 do
  ids[#ids + 1] = order[i]
  out[#out + 1] = order[i + 1]
end
return fetch('HMGET', KEYS[3], ids, out)
