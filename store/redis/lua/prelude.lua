#!lua
-- Put before every script. Times are microseconds.

-- clock is the given time, or the server's when it is empty.
local function clock(given)
  if given ~= '' then return tonumber(given) end
  local t = redis.call('TIME')
  return tonumber(t[1]) * 1000000 + tonumber(t[2])
end

-- text writes a whole number out in full.
local function text(n) return string.format('%.0f', n) end

-- live says whether token holds the partition whose meta is at key.
local function live(key, token, now)
  local m = redis.call('HMGET', key, 'token', 'until')
  return m[1] == token and tonumber(m[2] or '0') > now
end

-- each calls command with key and the members, a few thousand at a time, and
-- appends the answers to out.
local function fetch(command, key, members, out)
  for i = 1, #members, 2000 do
    local part = redis.call(command, key, unpack(members, i, math.min(i + 1999, #members)))
    for _, v in ipairs(part) do out[#out + 1] = v end
  end
  return out
end

-- offer appends an input to an inbox unless its id is known there; k holds the
-- keys meta, order, inbox and consumed.
local function offer(k, id, digest, cell)
  if redis.call('HEXISTS', k.inbox, id) == 1 or redis.call('ZSCORE', k.consumed, digest) then return 0 end
  redis.call('ZADD', k.order, redis.call('HINCRBY', k.meta, 'seq', 1), id)
  redis.call('HSET', k.inbox, id, cell)
  return 1
end
