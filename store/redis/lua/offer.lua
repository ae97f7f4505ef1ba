-- Appends inputs and wakes an owner in another process.
-- KEYS: meta, order, inbox, consumed.
-- ARGV: holder that calls, channel, partition, then id, digest, cell of each.
local k = {meta = KEYS[1], order = KEYS[2], inbox = KEYS[3], consumed = KEYS[4]}
local new = 0
for i = 4, #ARGV, 3 do new = new + offer(k, ARGV[i], ARGV[i + 1], ARGV[i + 2]) end
if new > 0 then
  local holder = redis.call('HGET', KEYS[1], 'holder')
  if holder and holder ~= ARGV[1] then redis.call('PUBLISH', ARGV[2], ARGV[3]) end
end
return new
