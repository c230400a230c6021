-- Takes a batch of ballots of one window in one shard: of each ballot all its claims or none.
--
-- KEYS[1] gate    hash: state, opensMs, hardClosesMs
-- KEYS[2] tally   hash: contestant id -> votes
-- KEYS[3] stream  the shard's ballots
--   The voters' books are named by a prefix and the voter; they carry the same hash tag, so all is in one slot.
-- ARGV[1] window id
-- ARGV[2] msgpack map of orders, what the ballots want: id -> [votes x weight, book prefix, expiry in Unix ms, claims]
--   claims  [[kind, name, cost, limit, period in ms], ...]  kind 1: counter, kind 2: rate
--           false: never take the ballot, only look for its first answer
-- ARGV[3] msgpack array of the ballots, one after the other, seven values each
--   voter, client id, received ms, contestant id, order id, row, ack
--   row     msgpack of the ballot's row in the stream;  ack  msgpack of what its first answer must remember
-- A book is a hash: '#name' -> value of a claim, '=client id' -> first answer, '!' -> its expiry.
--
-- Result: {packed, first answer, first answer, ...}; packed is a msgpack array with one entry a ballot:
--   [0, [left of each claim]]           taken (0 for a rate)
--   [1, []]                             taken before; its first answer, msgpack [ack, [left, ...]], is the next one
--   [2, [claim index from 0, wait]]     this claim failed; wait in ms, 0 for a counter
--   [3, []]                             the window is not open
--   [4, []]                             the window has ended
--   [5, []]                             this ballot could not be read, or its book is broken
-- The accepted rows are appended as one entry: k=b, w=window id, n=rows, v=msgpack array of rows.
--
-- The shard's own keys are checked before the first write, and each ballot's book is read before it is written,
-- so what is broken costs its own ballot or refuses the whole batch, and nothing is half done: no write can fail once
-- the first has been let through. Time is the arrival time of each ballot.

local BEFORE, NOT_OPEN, ENDED, BROKEN = '\146\1\144', '\146\3\144', '\146\4\144', '\146\5\144'
local KEPT = 30 * 86400000
local VALUES = 7
local call, pack, max, ceil = redis.call, cmsgpack.pack, math.max, math.ceil

local gate = call('HMGET', KEYS[1], 'state', 'opensMs', 'hardClosesMs')
local open, opens, hard = gate[1] == 'open', tonumber(gate[2]), tonumber(gate[3])
local fresh = call('HLEN', KEYS[2]) == 0
local kind = call('TYPE', KEYS[3]).ok
if kind ~= 'stream' and kind ~= 'none' then
  return redis.error_reply('WRONGTYPE the stream of this shard is a ' .. kind)
end

local orders, ballots = cmsgpack.unpack(ARGV[2]), cmsgpack.unpack(ARGV[3])
local answers = {}   -- one a ballot, packed
local firsts = {''}  -- first answers of those taken before, in order
local votes = {}     -- contestant id -> votes taken by this batch
local rows = {}
local writing = false

-- The fields to read of a book: its expiry, the place of a first answer, the claims.
for _, order in pairs(orders) do
  local fields = {'!', ''}
  for _, claim in ipairs(order[4] or {}) do
    fields[#fields + 1] = '#' .. claim[2]
  end
  order.fields = fields
end

-- What a claim makes of its value: the new value and what is left; or nil and the wait in ms.
local function weigh(claim, value, received)
  local cost, limit = claim[3], claim[4]
  if claim[1] == 1 then
    value = value + cost
    if value > limit then
      return nil, 0
    end
    return value, limit - value
  elseif claim[1] == 2 then
    -- GCRA: the value is the theoretical arrival time. The hundredth of a millisecond forgives rounding.
    local period = claim[5]
    value = max(value, received) + cost * period / limit
    local wait = value - received - period
    if wait > 0.01 then
      return nil, ceil(wait)
    end
    return value, 0
  end
  error('unknown kind of claim')
end

local function late_or_early(claims, received)
  if not claims then
    return ENDED
  elseif not hard or received < opens then
    return NOT_OPEN
  elseif not open or received > hard then
    return ENDED
  end
end

local function judge(at)
  local order, client = orders[ballots[at + 4]], '=' .. ballots[at + 1]
  local received, contestant = ballots[at + 2], ballots[at + 3]
  local key, fields, claims = order[2] .. ballots[at], order.fields, order[4]
  fields[2] = client
  local values = call('HMGET', key, unpack(fields))
  if values[2] then
    firsts[#firsts + 1] = values[2]
    return BEFORE
  end
  local refused = late_or_early(claims, received)
  if refused then
    return refused
  end

  local write, lefts, left = {}, {}, '\144'
  for index = 1, #claims do
    local value, rest = weigh(claims[index], tonumber(values[index + 2] or 0), received)
    if not value then
      return '\146\2\146' .. pack(index - 1) .. pack(rest)
    end
    lefts[index] = rest
    write[2 * index - 1], write[2 * index] = fields[index + 2], value
  end
  if #claims > 0 then
    left = pack(lefts)
  end
  local expiry = order[3] > tonumber(values[1] or 0) and order[3]
  local known = votes[contestant] or (tonumber(call('HGET', KEYS[2], contestant) or 0) * 0)
  local count, first = order[1] + known, '\146' .. ballots[at + 6] .. left
  rows[#rows + 1] = '' .. ballots[at + 5]

  -- the book has been read: writing it cannot fail any more, unless the engine lets nothing be written at all
  writing = true
  if expiry then
    call('HSET', key, client, first, '!', expiry, unpack(write))
    call('PEXPIREAT', key, expiry)
  else
    call('HSET', key, client, first, unpack(write))
  end
  writing = false
  votes[contestant] = count
  return '\146\0' .. left
end

for at = 1, #ballots, VALUES do
  local taken = #rows
  local whole, answer = pcall(judge, at)
  if not whole then
    if writing and taken == 0 then  -- out of memory, read-only, disk failing: not this ballot's fault
      return redis.error_reply(type(answer) == 'table' and answer.err or tostring(answer))
    end
    answer = BROKEN
    rows[taken + 1] = nil
    writing = false
  end
  answers[#answers + 1] = answer
end

if #rows > 0 then
  for contestant, count in pairs(votes) do
    call('HINCRBY', KEYS[2], contestant, count)
  end
  if fresh then
    call('PEXPIREAT', KEYS[2], hard + KEPT)
  end
  local header = string.char(220, math.floor(#rows / 256), #rows % 256)  -- msgpack array 16
  call('XADD', KEYS[3], '*', 'k', 'b', 'w', ARGV[1], 'n', #rows, 'v', header .. table.concat(rows))
end

firsts[1] = string.char(220, math.floor(#answers / 256), #answers % 256) .. table.concat(answers)
return firsts
