-- Extends the lease, or with a lease time of 0 gives it up.
-- KEYS: meta. ARGV: now, token, lease time.
local now = clock(ARGV[1])
if not live(KEYS[1], ARGV[2], now) then return 'lost' end
redis.call('HSET', KEYS[1], 'until', text(now + tonumber(ARGV[3])))
return 'ok'
