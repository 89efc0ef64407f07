#!lua name=LIBRARY

-- The version guard of the availability cache. One rule throughout: a lower version never replaces
-- a higher one, and what has left a territory leaves its version there (a tombstone).
--
-- Every value of a windows hash begins with one byte of format (0: tombstone) and eight bytes of
-- version, big-endian. Versions stay below 2^53, so that Lua's doubles hold them exactly.

-- Seconds between a registration and the write that it allows. Tombstones live far longer, so a
-- writer that was stopped in between cannot bring back what has left meanwhile.
local LEASE = 600

-- A value that is too short to be one counts as older than any.
local function version_of(value)
  if #value < 13 then
    return 0
  end
  return (struct.unpack('>I8', value, 2))
end

-- The first day of the horizon of an entry; of a tombstone, when it was set.
local function third_of(value)
  if #value < 13 then
    return 0
  end
  return (struct.unpack('>I4', value, 10))
end

local function is_tombstone(value)
  return string.byte(value, 1) == 0
end

local function now()
  return tonumber(redis.call('TIME')[1])
end

-- Numbers a change of a contractor's value in a territory. The numbers rise, also where Redis goes on
-- from a replica that had not heard of the last changes: they are the microseconds since the epoch,
-- unless more than one falls into the same.
local function note(changes, id)
  local time = redis.call('TIME')
  local number = tonumber(time[1]) * 1000000 + tonumber(time[2])
  local newest = redis.call('ZREVRANGE', changes, 0, 0, 'WITHSCORES')[2]
  if newest and tonumber(newest) >= number then
    number = tonumber(newest) + 1
  end
  redis.call('ZADD', changes, string.format('%.0f', number), id)
end

-- keys: home. args: version, territory, '1' to make the home if it is missing, then territories
-- that are known to hold the contractor.
-- Answers {'missing'}, {'stale', version, territory} or {'registered', time, other territories...}.
redis.register_function('LIBRARY_register', function(keys, args)
  local home = redis.call('HMGET', keys[1], 'v', 'c')
  if not home[1] and args[3] ~= '1' then
    return {'missing'}
  end
  local version, known = tonumber(args[1]), tonumber(home[1] or '0')
  if version < known then
    return {'stale', home[1], home[2]}
  end
  redis.call('HSET', keys[1], 'v', args[1], 'c', args[2], 't:' .. args[2], '1')
  for i = 4, #args do
    redis.call('HSET', keys[1], 't:' .. args[i], '1')
  end
  local answer = {'registered', tostring(now())}
  for _, field in ipairs(redis.call('HKEYS', keys[1])) do
    if string.sub(field, 1, 2) == 't:' and field ~= 't:' .. args[2] then
      answer[#answer + 1] = string.sub(field, 3)
    end
  end
  return answer
end)

-- keys: windows, schedules, changes of one territory. args: id, version, time of the registration, first day
-- of the horizon, windows entry, schedule, '1' to write the same version over what is there.
-- Answers {'written'}, {'same'}, {'stale'} or {'late'}.
redis.register_function('LIBRARY_put', function(keys, args)
  if now() - tonumber(args[3]) > LEASE then
    return {'late'}
  end
  local held = redis.call('HGET', keys[1], args[1])
  if held then
    local version, known = tonumber(args[2]), version_of(held)
    if known > version then
      return {'stale'}
    end
    if known == version then
      if is_tombstone(held) then
        return {'stale'}
      end
      -- The same version is written again only to roll its horizon forward or to bring it to a later
      -- format, unless it comes from the source of truth.
      local rolls = third_of(held) < tonumber(args[4])
      local converts = string.byte(held, 1) < string.byte(args[5], 1)
      if not rolls and not converts and args[7] ~= '1' then
        return {'same'}
      end
    end
  end
  redis.call('HSET', keys[1], args[1], args[5])
  redis.call('HSET', keys[2], args[1], args[6])
  note(keys[3], args[1])
  return {'written'}
end)

-- keys: windows, schedules, changes of a territory that the contractor has left. args: id, version.
-- Answers 'removed', or 'newer' if a higher version has come there.
redis.register_function('LIBRARY_remove', function(keys, args)
  local held = redis.call('HGET', keys[1], args[1])
  if held and version_of(held) >= tonumber(args[2]) then
    return is_tombstone(held) and 'removed' or 'newer'
  end
  local tombstone = string.char(0) .. struct.pack('>I8', tonumber(args[2])) .. struct.pack('>I4', now())
  redis.call('HSET', keys[1], args[1], tombstone)
  redis.call('HDEL', keys[2], args[1])
  note(keys[3], args[1])
  return 'removed'
end)

-- keys: home. args: version, territory, then territories that hold the contractor no longer.
-- Answers {'settled'}, {'missing'} or {'superseded', version, territory}.
redis.register_function('LIBRARY_settle', function(keys, args)
  local home = redis.call('HMGET', keys[1], 'v', 'c')
  if not home[1] then
    return {'missing'}
  end
  if tonumber(home[1]) < tonumber(args[1]) then
    return {'missing'}
  end
  if home[1] ~= args[1] or home[2] ~= args[2] then
    return {'superseded', home[1], home[2]}
  end
  for i = 3, #args do
    redis.call('HDEL', keys[1], 't:' .. args[i])
  end
  return {'settled'}
end)

-- keys: windows, changes. args: cursor of the scan ('0' at first), how many values to look at, day, format,
-- seconds since the epoch. Tombstones that were set before that are dropped.
-- Answers {next cursor, then id and first day of the horizon of each entry that begins before the
-- day; -1 as the day of what is of an earlier format}.
redis.register_function('LIBRARY_behind', function(keys, args)
  local page = redis.call('HSCAN', keys[1], args[1], 'COUNT', args[2])
  local wanted, format, long_ago = tonumber(args[3]), tonumber(args[4]), tonumber(args[5])
  local answer = {page[1]}
  for i = 1, #page[2], 2 do
    local id, held = page[2][i], page[2][i + 1]
    local day = third_of(held)
    if is_tombstone(held) then
      if day < long_ago then
        redis.call('HDEL', keys[1], id)
        redis.call('ZREM', keys[2], id)
      end
    elseif #held < 13 or string.byte(held, 1) < format then
      answer[#answer + 1] = id
      answer[#answer + 1] = '-1'
    elseif day < wanted then
      answer[#answer + 1] = id
      answer[#answer + 1] = tostring(day)
    end
  end
  return answer
end)

-- keys: windows, changes. args: number of a change, how many changes may be told.
-- Answers {how many values there are, number of the last change, then id and value of each that has
-- changed since}, or {} where more have.
redis.register_function{
  function_name = 'LIBRARY_since',
  flags = {'no-writes'},
  callback = function(keys, args)
    local most = tonumber(args[2])
    local ids = redis.call('ZRANGEBYSCORE', keys[2], '(' .. args[1], '+inf', 'LIMIT', 0, most + 1)
    if #ids > most then
      return {}
    end
    local newest = redis.call('ZREVRANGE', keys[2], 0, 0, 'WITHSCORES')[2] or '0'
    local answer = {tostring(redis.call('HLEN', keys[1])), newest}
    for _, id in ipairs(ids) do
      local value = redis.call('HGET', keys[1], id)
      if value then
        answer[#answer + 1] = id
        answer[#answer + 1] = value
      end
    end
    return answer
  end
}
