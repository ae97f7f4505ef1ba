-- One decision's whole consequence. Everything that can refuse it comes before
-- the first write: Redis takes nothing back.
--
-- KEYS: meta, commits, order, inbox, consumed, outbox, timers, by time, ledger,
-- by subject, then records and index of each collection.
-- ARGV: now, token, number of the commit, lease time, how long and how many
-- consumed ids are remembered, how long the ledger is kept (0: for ever), then
-- the batch: lists, each after its length.
local k = {meta = KEYS[1], order = KEYS[3], inbox = KEYS[4], consumed = KEYS[5]}
local now, token, number = clock(ARGV[1]), ARGV[2], tonumber(ARGV[3])
local done = redis.call('HGET', KEYS[2], token)
if done and tonumber(done) >= number then return {'done'} end
if not live(KEYS[1], token, now) then return {'lost'} end

local at = 7
local function take()
  at = at + 1
  return ARGV[at]
end
local function list(f)
  local n = tonumber(take())
  for _ = 1, n do f() end
  return n
end

-- Inputs leave the inbox; their ids are remembered.
local consumed = list(function()
  local id, digest = take(), take()
  if redis.call('HDEL', k.inbox, id) == 1 then
    redis.call('ZREM', k.order, id)
    redis.call('ZADD', k.consumed, text(now), digest)
  end
end)
if consumed > 0 then
  local over = math.min(redis.call('ZCARD', k.consumed) - tonumber(ARGV[6]), 2 * consumed + 8)
  if over > 0 then
    local oldest = redis.call('ZRANGE', k.consumed, 0, over - 1, 'WITHSCORES')
    local drop = 0
    while drop < over and now - tonumber(oldest[2 * drop + 2]) > tonumber(ARGV[5]) do drop = drop + 1 end
    if drop > 0 then redis.call('ZREMRANGEBYRANK', k.consumed, 0, drop - 1) end
  end
end

-- Records: deletes first, so that a put of the same key stays.
list(function()
  local c, key = 9 + 2 * tonumber(take()), take()
  redis.call('HDEL', KEYS[c], key)
  redis.call('ZREM', KEYS[c + 1], key)
end)
list(function()
  local c, key = 9 + 2 * tonumber(take()), take()
  if redis.call('HSET', KEYS[c], key, take()) == 1 then redis.call('ZADD', KEYS[c + 1], 0, key) end
end)

-- Timers: the twelve bytes of the time, then the cell; no time removes.
list(function()
  local id, time, cell = take(), take(), take()
  local old = redis.call('HGET', KEYS[7], id)
  if old then redis.call('ZREM', KEYS[8], string.sub(old, 1, 12) .. id) end
  if time == '' then
    redis.call('HDEL', KEYS[7], id)
  else
    redis.call('HSET', KEYS[7], id, time .. cell)
    redis.call('ZADD', KEYS[8], 0, time .. id)
  end
end)

-- The ledger: when, the members of the index by subject, the cell.
local entries = list(function()
  local seq, hash, members, cell = take(), take(), {}, take()
  local head = {struct.pack('>I8', now)}
  list(function() members[#members + 1] = take() end)
  head[2] = struct.pack('>I4', #members)
  for _, m in ipairs(members) do
    redis.call('ZADD', KEYS[10], 0, m)
    head[#head + 1] = struct.pack('>I4', #m) .. m
  end
  redis.call('HSET', KEYS[9], seq, table.concat(head) .. cell)
  redis.call('HSET', k.meta, 'lseq', seq, 'lhash', hash)
end)
local keep = tonumber(ARGV[7])
if entries > 0 and keep > 0 then
  local first = tonumber(redis.call('HGET', k.meta, 'lfirst') or '1')
  local drop = first
  for _ = 1, 2 * entries + 8 do
    local v = redis.call('HGET', KEYS[9], text(drop))
    if not v or now - struct.unpack('>I8', v) <= keep then break end
    local n, p = struct.unpack('>I4', v, 9)
    for _ = 1, n do
      local size, q = struct.unpack('>I4', v, p)
      redis.call('ZREM', KEYS[10], string.sub(v, q, q + size - 1))
      p = q + size
    end
    redis.call('HDEL', KEYS[9], text(drop))
    drop = drop + 1
  end
  if drop > first then redis.call('HSET', k.meta, 'lfirst', text(drop)) end
end

-- Messages: to this partition into the inbox, to others into the outbox.
list(function() offer(k, take(), take(), take()) end)
local first = ''
list(function()
  local n = text(redis.call('HINCRBY', k.meta, 'out', 1))
  redis.call('HSET', KEYS[6], n, take())
  if first == '' then first = n end
end)

redis.call('HSET', k.meta, 'until', text(now + tonumber(ARGV[4])))
redis.call('HSET', KEYS[2], token, ARGV[3])
return {'ok', first}
