-- Lists a collection in key order, keys first. KEYS: records, index.
-- ARGV: lower bound for ZRANGEBYLEX, limit.
local keys = redis.call('ZRANGEBYLEX', KEYS[2], ARGV[1], '+', 'LIMIT', 0, ARGV[2])
local out = {}
for _, v in ipairs(keys) do out[#out + 1] = v end
return fetch('HMGET', KEYS[1], keys, out)
