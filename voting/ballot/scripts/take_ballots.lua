-- Takes a batch of ballots of one window in one shard: of each ballot all its claims or none.
--
-- KEYS[1] gate    hash: state, opensMs, hardClosesMs
-- KEYS[2] tally   hash: contestant id -> votes
-- KEYS[3] stream  the shard's ballots
--   The voters' books are named by prefixes and voters; they carry the same hash tag, so all is in one slot.
-- ARGV[1] window id
-- ARGV[2] msgpack map of orders, what the ballots want: id -> [votes x weight, books]
--   books   [[key prefix, expiry in Unix ms, claims], ...], all different; the first remembers the first answer too
--   claims  [[kind, name, cost, limit, period in ms], ...]  kind 1: counter, kind 2: rate
--           false: never take the ballot, only look for its first answer
-- ARGV[3] msgpack array of the ballots, one after the other, seven values each
--   voter, client id, received ms, contestant id, order id, row, ack
--   row     msgpack of the ballot's row in the stream;  ack  msgpack of what its first answer must remember
-- A book is a hash: '#name' -> value of a claim, '=client id' -> first answer, '!' -> its expiry.
--
-- Result: {packed, first answer, first answer, ...}; packed is a msgpack array with one entry a ballot:
--   [0, [left of each claim]]           taken (0 for a rate); claims are counted through all books
--   [1, []]                             taken before; its first answer, msgpack [ack, [left, ...]], is the next one
--   [2, [claim index from 0, wait]]     this claim failed; wait in ms, 0 for a counter
--   [3, []]                             the window is not open
--   [4, []]                             the window has ended
--   [5, []]                             this ballot could not be read, or one of its books is broken
-- The accepted rows are appended as one entry: k=b, w=window id, n=rows, v=msgpack array of rows.
--
-- The shard's own keys are checked before the first write, and each ballot's books are read before they are written,
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

-- Of each book the fields to read: its expiry, the place of a first answer in the first book, the claims.
for _, order in pairs(orders) do
  for number, book in ipairs(order[2]) do
    local fields = {'!'}
    if number == 1 then
      fields[2] = ''
    end
    for _, claim in ipairs(book[3] or {}) do
      fields[#fields + 1] = '#' .. claim[2]
    end
    book.fields = fields
  end
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
  local voter, received, contestant = ballots[at], ballots[at + 2], ballots[at + 3]
  local order, row, ack = orders[ballots[at + 4]], ballots[at + 5], ballots[at + 6]
  local client = '=' .. ballots[at + 1]
  local lefts, writes = {}, {}
  for number, book in ipairs(order[2]) do
    local fields, claims, before, write = book.fields, book[3], 1, {}
    if number == 1 then
      fields[2], before = client, 2
    end
    local key = book[1] .. voter
    local values = call('HMGET', key, unpack(fields))
    if number == 1 then
      if values[2] then
        firsts[#firsts + 1] = values[2]
        return BEFORE
      end
      local refused = late_or_early(claims, received)
      if refused then
        return refused
      end
    end
    for index, claim in ipairs(claims) do
      local value, left = weigh(claim, tonumber(values[before + index] or 0), received)
      if not value then
        return '\146\2\146' .. pack(#lefts) .. pack(left)
      end
      lefts[#lefts + 1] = left
      write[#write + 1] = fields[before + index]
      write[#write + 1] = value
    end
    writes[number] = write
    write.key = key
    if book[2] > tonumber(values[1] or 0) then
      write.expiry = book[2]
      write[#write + 1] = '!'
      write[#write + 1] = book[2]
    end
  end

  local known = votes[contestant] or (tonumber(call('HGET', KEYS[2], contestant) or 0) * 0)
  local count, left = order[1] + known, lefts[1] and pack(lefts) or '\144'
  local first = writes[1]
  first[#first + 1] = client
  first[#first + 1] = '\146' .. ack .. left
  rows[#rows + 1] = '' .. row

  -- every book has been read: writing them cannot fail any more, unless the engine lets nothing be written at all
  writing = true
  for _, write in ipairs(writes) do
    call('HSET', write.key, unpack(write))
    if write.expiry then
      call('PEXPIREAT', write.key, write.expiry)
    end
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
