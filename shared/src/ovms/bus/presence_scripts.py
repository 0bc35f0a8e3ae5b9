"""The Lua scripts of `presence`.

One script a change, so that the change, the counts after it and their publication are one step: two that come at once are told
1 and 2, never 2 and 2. A call changes some vehicles, one after the other. Its keys are three a vehicle: connections, http,
session; then the replicas. Its arguments are until when by Redis' clock it may change anything, then some a vehicle, the
vehicle's id first. A call that Redis comes to later than that fails: its sender has given up, and may have sent something newer
on another connection. It returns an answer a vehicle: the time, how many HTTP sessions are connected, when the lease of the
first of them ends, name and value of each live replica's field in turn, the replica of the car's newest session if it is live,
and what each script says of itself.
"""

from typing import Final

# `look` ends the leases of HTTP sessions that have run out; it tells how many had, how many are left, and when the first of
# these ends. `tell` publishes. `raise` adopts the number of a session and its replica unless a greater one is stored; of two
# replicas with one number the live one with the greater name has the session.
_COMMON: Final = """
local clock = redis.call('TIME')
local now = clock[1] + clock[2] / 1000000
local at = string.format('%d.%06d', clock[1], clock[2])
if now > tonumber(ARGV[1]) then return redis.error_reply('LATE the sender no longer waits') end
local live = {}
for _, replica in ipairs(redis.call('ZRANGEBYSCORE', KEYS[#KEYS], now, '+inf')) do live[replica] = true end
local function look(http)
  if redis.call('EXISTS', http) == 0 then return 0, 0, '0' end
  local ended = redis.call('ZREMRANGEBYSCORE', http, '-inf', now)
  local first = redis.call('ZRANGE', http, 0, 0, 'WITHSCORES')
  return ended, redis.call('ZCARD', http), first[2] or '0'
end
local function live_fields(all)
  local fields = {}
  for i = 1, #all, 2 do
    if live[all[i]] then fields[#fields + 1], fields[#fields + 2] = all[i], all[i + 1] end
  end
  return fields
end
local function tell(connections, vehicle, fields, http, http_until)
  local session, apps, batch, replicas = 0, http, 0, {}
  for i = 1, #fields, 2 do
    local s, a, b = string.match(fields[i + 1], '(%d+) (%d+) (%d+)')
    s, a, b = tonumber(s), tonumber(a), tonumber(b)
    session, apps, batch, replicas[fields[i]] = math.max(session, s), apps + a, batch + b, {s, a, b}
  end
  local channel = string.gsub(connections, ':connections$', ':peers')
  redis.call('PUBLISH', channel, cjson.encode({vehicle = vehicle, at = at, car = session > 0 and 1 or 0, apps = apps,
    batch = batch, http = http, http_until = tonumber(http_until), session = session, replicas = replicas}))
end
local function raise(session, number, replica)
  local stored = redis.call('HMGET', session, 'epoch', 'replica')
  local step, owner = tonumber(number) - tonumber(stored[1] or '0'), stored[2] or ''
  if step > 0 or (step == 0 and (not live[owner] or replica > owner)) then
    redis.call('HSET', session, 'epoch', number, 'replica', replica)
    redis.call('EXPIRE', session, 2592000)
  end
end
local function each(size, change)
  local answers = {}
  for i = 1, (#KEYS - 1) / 3 do
    answers[i] = change(KEYS[3 * i - 2], KEYS[3 * i - 1], KEYS[3 * i], unpack(ARGV, 2 + size * (i - 1), 1 + size * i))
  end
  return answers
end
"""

# A vehicle's arguments: what to do, with which member, and a value. The answer's last: the HTTP sessions that were there.
CHANGE: Final = f"""{_COMMON}
return each(4, function(connections, http, session, vehicle, verb, member, value)
  local ended, before, first = look(http)
  local watching, has_changed = before, ended > 0
  if verb == 'connect' then
    redis.call('ZADD', http, now + tonumber(value), member)
    local last = redis.call('ZRANGE', http, -1, -1, 'WITHSCORES')
    redis.call('EXPIREAT', http, math.ceil(last[2]) + 1)
    ended, watching, first = look(http)
  elseif verb == 'disconnect' then
    redis.call('ZREM', http, member)
    ended, watching, first = look(http)
  elseif verb == 'announce' then
    if value == '0 0 0' then redis.call('HDEL', connections, member) else redis.call('HSET', connections, member, value) end
    if string.sub(value, 1, 2) ~= '0 ' then raise(session, string.match(value, '^%d+'), member) end
    has_changed = true
  elseif verb == 'raise' then
    raise(session, value, redis.call('HGET', session, 'replica') or '')
  elseif verb == 'clear' then
    local held = redis.call('HGET', connections, member)
    if held then
      redis.call('HDEL', connections, member)
      has_changed = true
      -- A session of a dead replica: the car that came instead has thrown nobody out.
      if string.sub(held, 1, 2) ~= '0 ' and tonumber(redis.call('HGET', session, 'thrown') or '0') > 0 then
        redis.call('HINCRBY', session, 'thrown', -1)
      end
    end
  end
  local fields = live_fields(redis.call('HGETALL', connections))
  if has_changed or watching ~= before then tell(connections, vehicle, fields, watching, first) end
  local owner = redis.call('HGET', session, 'replica')
  return {{at, watching, first, fields, live[owner] and owner or '', before}}
end)
"""

# A vehicle's arguments: the replica that claims its car (none: it is announced later), and since when the car has waited (0: it
# has not). The answer's last: the session's number, and how long the car has to wait. The number is greater than the stored one
# and those of all connections, and at least the time in milliseconds: it does not fall where Redis has lost its memory, or
# where a session was numbered without Redis by a clock that is ahead. A car that throws another session of itself out, again
# and again, is told to wait before it may: two modules with one id would otherwise keep each other and us busy without an end.
# It may wait on one connection or come again and again: the time counts from when it was first told, unless another session
# has begun since.
CLAIM: Final = f"""{_COMMON}
local ms = clock[1] * 1000 + math.floor(clock[2] / 1000)
return each(3, function(connections, http, session, vehicle, mine, waits_since)
  local known = redis.call('HMGET', session, 'epoch', 'thrown', 'thrown_at', 'asked_at', 'begun_at')
  local newest, begun_at = tonumber(known[1] or '0'), tonumber(known[5] or '0')
  local all = redis.call('HGETALL', connections)
  local is_taken, delay, epoch, here = false, 0, 0, #all + 1
  for i = 1, #all, 2 do
    newest = math.max(newest, tonumber(string.match(all[i + 1], '^%d+')))
    if live[all[i]] and string.sub(all[i + 1], 1, 2) ~= '0 ' then is_taken = true end
    if all[i] == mine then here = i end
  end
  if is_taken then
    local thrown = ms - tonumber(known[3] or '0') < 120000 and tonumber(known[2] or '0') or 0
    local asked_at = tonumber(known[4] or '0')
    if thrown >= 3 and begun_at > tonumber(waits_since) then
      if asked_at <= begun_at then
        asked_at = ms
        redis.call('HSET', session, 'asked_at', string.format('%.0f', ms))
      end
      delay = math.max(0, asked_at - ms + 1000 * math.min(30, 2 ^ (thrown - 3))) / 1000
    end
    if delay == 0 then
      redis.call('HSET', session, 'thrown', thrown + 1, 'thrown_at', string.format('%.0f', ms))
    end
  end
  if delay == 0 then
    epoch = string.format('%.0f', math.max(ms, newest + 1))
    redis.call('HSET', session, 'epoch', epoch, 'replica', mine, 'begun_at', string.format('%.0f', ms))
    redis.call('EXPIRE', session, 2592000)
    if mine ~= '' then
      all[here], all[here + 1] = mine, epoch .. string.match(all[here + 1] or '0 0 0', ' .*')
      redis.call('HSET', connections, mine, all[here + 1])
    end
  end
  local _, watching, first = look(http)
  local fields = live_fields(all)
  if delay == 0 and mine ~= '' then tell(connections, vehicle, fields, watching, first) end
  return {{at, watching, first, fields, live[mine] and mine or '', epoch, string.format('%.3f', delay)}}
end)
"""

# KEYS: connections of some vehicles. ARGV: a replica. What it has announced of each, in one answer.
ANNOUNCED: Final = """
local held = {}
for place, key in ipairs(KEYS) do held[place] = redis.call('HGET', key, ARGV[1]) end
return held
"""

# KEYS: replicas. ARGV: replica, seconds. A lease that has run out is never renewed: others may be clearing what it stood for.
RENEW: Final = """
local clock = redis.call('TIME')
local now = clock[1] + clock[2] / 1000000
local ends = redis.call('ZSCORE', KEYS[1], ARGV[1])
if not ends or tonumber(ends) < now then return 0 end
redis.call('ZADD', KEYS[1], now + tonumber(ARGV[2]), ARGV[1])
return 1
"""
