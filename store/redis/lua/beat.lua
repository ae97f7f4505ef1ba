-- Says that a member lives and lists all that do. KEYS: members, their times.
-- ARGV: id, its card (empty: it leaves), how long a beat lasts.
local now = clock('')
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', text(now - tonumber(ARGV[3])))
if ARGV[2] == '' then
  redis.call('ZREM', KEYS[2], ARGV[1])
else
  redis.call('ZADD', KEYS[2], text(now), ARGV[1])
  redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
end
local alive, out = {}, {}
for _, id in ipairs(redis.call('ZRANGE', KEYS[2], 0, -1)) do alive[id] = true end
local cards = redis.call('HGETALL', KEYS[1])
for i = 1, #cards, 2 do
  if alive[cards[i]] then out[#out + 1] = cards[i + 1] else redis.call('HDEL', KEYS[1], cards[i]) end
end
return out
