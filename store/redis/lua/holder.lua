-- Who holds the partition, how many inputs wait, and the first of them.
-- KEYS: meta, order, inbox. ARGV: now.
local m = redis.call('HMGET', KEYS[1], 'holder', 'until')
local holder = ''
if m[1] and tonumber(m[2] or '0') > clock(ARGV[1]) then holder = m[1] end
local first = redis.call('ZRANGE', KEYS[2], 0, 0)[1]
local cell = first and redis.call('HGET', KEYS[3], first) or ''
return {holder, text(redis.call('ZCARD', KEYS[2])), cell}
