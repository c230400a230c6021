-- Takes a batch of ballots of one window in one shard: of each ballot all its claims or none.
--
-- KEYS[1] gate     hash: state, opensMs, hardClosesMs
-- KEYS[2] tally    hash: contestant id -> votes
-- KEYS[3] stream   the shard's ballots
-- KEYS[4] refused  hash: code -> ballots refused with it
--   The voters' books and wallets are named by a prefix and the voter; they carry the same hash tag, so all is in one
--   slot.
-- ARGV[1] window id
-- ARGV[2] msgpack map of orders, what the ballots want: id -> [votes x weight, books, claims, vote type]
--   books   [[prefix, expiry in Unix ms], ...]  the first one holds the first answers; expiry 0: kept for ever
--   claims  [[kind, field, cost, limit, period in ms, book, by contestant, code, burst], ...]
--           kind 1: counter, 2: pace, 3: rate, 4: balance, 5: lots; cost 0 looks and takes nothing;
--           book from 1, 0: shared by the shard; by contestant: the ballot's contestant is added to the field
--           false: never take the ballot, only look for its first answer
-- ARGV[3] msgpack array of the ballots, one after the other, seven values each
--   voter, client id, received ms, contestant id, order id, row, ack
--   row     msgpack of the ballot's row in the stream;  ack  msgpack of what its first answer must remember
-- ARGV[4] shared: the name of the hash of what all voters of the shard share in this window, by claim and contestant
-- ARGV[5] types: name of the hash of the window's votes by type;  ARGV[6] voters: name of the HyperLogLog of its voters
-- ARGV[7] the most votes that the window may have in this shard: what is beyond cannot be told apart by JavaScript
-- A book is a hash: field of a claim -> its value, '=client id' -> first answer, '!' -> its expiry.
--
-- Result: {packed, first answer, first answer, ...}; packed is a msgpack array with one entry a ballot:
--   [0, [left of each claim]]           taken (0 for a pace or a rate)
--   [1, []]                             taken before; its first answer, msgpack [ack, [left, ...]], is the next one
--   [2, [claim index from 0, wait]]     this claim failed; wait in ms, 0 for what no waiting helps
--   [3, []]                             the window is not open
--   [4, []]                             the window has ended
--   [5, []]                             this ballot could not be read, or its book is broken
--   [6, []]                             there is no such gate: the engine has lost the window, until it is rebuilt
--   [7, []]                             with it the window would have more votes than it may
-- The accepted rows are appended as one entry: k=b, w=window id, n=rows, v=msgpack array of rows, and if wallets paid
-- for any, j=msgpack array of what they paid, four values each: row from 0, account, lot, votes.
--
-- The shard's own keys are checked before the first write, and each ballot's books are read before they are written,
-- so what is broken costs its own ballot or refuses the whole batch, and nothing is half done: no write can fail once
-- the first has been let through. Time is the arrival time of each ballot.

local BEFORE, NOT_OPEN, ENDED, BROKEN = '\146\1\144', '\146\3\144', '\146\4\144', '\146\5\144'
local LOST, FULL = '\146\6\144', '\146\7\144'
local KEPT = 30 * 86400000
local VALUES = 7
local SLOTS = 20         -- into how many parts a rate's period is divided
local LOT_KEPT = 60000   -- ms an expired lot waits for ballots that arrived before its end
local UNPACKED = 4000    -- values of one call; Lua's stack has room for twice as many
local call, pack, unpacked = redis.call, cmsgpack.pack, cmsgpack.unpack
local max, min, ceil, floor = math.max, math.min, math.ceil, math.floor

local gate = call('HMGET', KEYS[1], 'state', 'opensMs', 'hardClosesMs')
local open, opens, hard = gate[1] == 'open', tonumber(gate[2]), tonumber(gate[3])
local fresh = call('HLEN', KEYS[2]) == 0
call('HLEN', KEYS[4])
local kind = call('TYPE', KEYS[3]).ok
if kind ~= 'stream' and kind ~= 'none' then
  return redis.error_reply('WRONGTYPE the stream of this shard is a ' .. kind)
end

-- The window's votes in this shard. Where that cannot be read nothing is refused for it: a board beyond the bound goes
-- out to nobody all the same.
local total, most = 0, tonumber(ARGV[7])
for _, count in ipairs(redis.pcall('HVALS', ARGV[5])) do
  total = total + (tonumber(count) or 0)
end

local orders, ballots = unpacked(ARGV[2]), unpacked(ARGV[3])
local answers = {}   -- one a ballot, packed
local firsts = {''}  -- first answers of those taken before, in order
local votes = {}     -- contestant id -> votes taken by this batch
local kinds = {}     -- vote type -> votes taken by this batch
local voters = {}    -- of the ballots taken
local rows = {}
local spent = {}     -- what wallets paid: row, account, lot, votes, ...
local refused = {}   -- code -> ballots
local shared = {}    -- field -> value of what the shard shares, as far as this batch has met it
local changed = {}   -- fields of `shared` to be written
local writing = false

-- The fields to read of each book: its expiry, in the first one the place of a first answer, the claims.
for _, order in pairs(orders) do
  local books, reads = order[2], {}
  for number = 1, #books do
    reads[number] = {'!'}
  end
  reads[1][2] = ''
  order.reads, order.fields, order.prefix, order.expiry = reads, reads[1], books[1][1], books[1][2]
  order.beyond = #books > 1
  for _, claim in ipairs(order[3] or {}) do
    local fields = reads[claim[6]]
    if fields then
      claim.at = #fields + 1
      fields[claim.at] = claim[2]
    else
      order.beyond = true
    end
    if fields and claim[7] then
      order.named = order.named or {}
      table.insert(order.named, {fields, claim.at, claim[2]})
    end
  end
end

-- What each kind of claim makes of its value: the new value and what is left; or nil and the wait in ms.
local weigh = {
  function(claim, value)  -- counter
    value = tonumber(value or 0) + claim[3]
    if value > claim[4] and claim[3] > 0 then
      return nil, 0
    end
    return value, max(0, claim[4] - value)
  end,
  function(claim, value, received)  -- pace, GCRA: the value is the theoretical arrival time
    local each = claim[5] / claim[4]
    value = max(tonumber(value or 0), received) + claim[3] * each
    local wait = value - received - claim[9] * each
    if wait > 0.01 then  -- the hundredth of a millisecond forgives rounding
      return nil, ceil(wait)
    end
    return value, 0
  end,
  function(claim, value, received)  -- rate: the value is a log, the last time in a slot and what was used in it, ...
    local cost, period = claim[3], claim[5]
    if not value and cost <= claim[4] then
      return pack({received, cost}), 0
    end
    local log, kept, room = value and unpacked(value) or {}, {}, claim[4] - cost
    for at = 1, #log, 2 do
      if log[at] > received - period then
        kept[#kept + 1], kept[#kept + 2] = log[at], log[at + 1]
        room = room - log[at + 1]
      end
    end
    if room < 0 then
      for at = 1, #kept, 2 do
        room = room + kept[at + 1]
        if room >= 0 then
          return nil, kept[at] + period - received
        end
      end
      return nil, period
    end
    local last, slot = #kept - 1, period / SLOTS
    if last > 0 and floor(received / slot) <= floor(kept[last] / slot) then
      kept[last], kept[last + 1] = max(kept[last], received), kept[last + 1] + cost
    else
      kept[last + 2], kept[last + 3] = received, cost
    end
    return pack(kept), 0
  end,
  function(claim, value, received, paid)  -- balance
    value = tonumber(value or 0) - claim[3]
    if value < 0 then
      return nil, 0
    end
    if claim[3] > 0 then
      paid[#paid + 1] = {'paid', '', claim[3]}
    end
    return value, value
  end,
  function(claim, value, received, paid)  -- lots: expiry, lot, votes, ...; soonest first
    local lots, kept, want, left = value and unpacked(value) or {}, {}, claim[3], 0
    for at = 1, #lots, 3 do
      local expiry, lot, held = lots[at], lots[at + 1], lots[at + 2]
      if expiry > received then
        local taken = min(want, held)
        want, held, left = want - taken, held - taken, left + held - taken
        if taken > 0 then
          paid[#paid + 1] = {'bundle', lot, taken}
        end
      elseif expiry + LOT_KEPT <= received and claim[3] > 0 then
        paid[#paid + 1] = {'expired', lot, held}
        held = 0
      end
      if held > 0 then
        kept[#kept + 1], kept[#kept + 2], kept[#kept + 3] = expiry, lot, held
      end
    end
    if want > 0 then
      return nil, 0
    end
    return pack(kept), left
  end,
}

local function refuse(code)
  refused[code] = (refused[code] or 0) + 1
end

local function late_or_early(claims, received)
  if not claims then
    refuse('VOTING_ENDED')
    return ENDED
  elseif not hard then
    return LOST
  elseif received < opens then
    refuse('VOTING_CLOSED')
    return NOT_OPEN
  elseif not open or received > hard then
    refuse('VOTING_ENDED')
    return ENDED
  end
end

local function shared_value(field)
  if shared[field] == nil then
    shared[field] = call('HGET', ARGV[4], field)
  end
  return shared[field]
end

-- What a ballot meets beyond its first book: other books and wallets as they are, what it will write there, what it
-- pays, and what it makes of the values that the shard shares. An error if a book's expiry is no number.
local function look_beyond(order, voter)
  local beyond = {held = {}, writes = {}, paid = {}, shared = {}}
  for number = 2, #order[2] do
    local book = order[2][number]
    local key = book[1] .. voter
    local held = call('HMGET', key, unpack(order.reads[number]))
    beyond.held[number] = held
    beyond.writes[number] = {key = key, expiry = book[2] > tonumber(held[1] or 0) and book[2]}
  end
  return beyond
end

local function weigh_beyond(order, claim, beyond, received, contestant)
  local number = claim[6]
  if number == 0 then
    local field = claim[2] .. contestant
    local value, rest = weigh[claim[1]](claim, shared_value(field), received)
    beyond.shared[field] = value
    return value, rest
  end
  local value, rest = weigh[claim[1]](claim, beyond.held[number][claim.at], received, beyond.paid)
  if value and claim[3] > 0 then
    local write = beyond.writes[number]
    write[#write + 1], write[#write + 2] = order.reads[number][claim.at], value
  end
  return value, rest
end

local function write_beyond(order, beyond)
  for number = 2, #order[2] do
    local write = beyond.writes[number]
    if #write > 0 and write.expiry then
      call('HSET', write.key, '!', write.expiry, unpack(write))
      call('PEXPIREAT', write.key, write.expiry)
    elseif #write > 0 then
      call('HSET', write.key, unpack(write))
    end
  end
  for field, value in pairs(beyond.shared) do
    shared[field], changed[field] = value, true
  end
  for _, payment in ipairs(beyond.paid) do
    local last = #spent
    spent[last + 1], spent[last + 2], spent[last + 3], spent[last + 4] = #rows - 1, unpack(payment)
  end
end

local function judge(at)
  local order, client = orders[ballots[at + 4]], '=' .. ballots[at + 1]
  local received, contestant = ballots[at + 2], ballots[at + 3]
  local key, fields, claims = order.prefix .. ballots[at], order.fields, order[3]
  if order.named then
    for _, name in ipairs(order.named) do
      name[1][name[2]] = name[3] .. contestant
    end
  end
  fields[2] = client
  local values = call('HMGET', key, unpack(fields))
  if values[2] then
    firsts[#firsts + 1] = values[2]
    return BEFORE
  end
  local refusal = late_or_early(claims, received)
  if refusal then
    return refusal
  end

  if total + order[1] > most then
    refuse('INVALID_VOTE_COUNT')
    return FULL
  end

  local beyond = order.beyond and look_beyond(order, ballots[at])
  local write, lefts, left = {}, {}, '\144'
  for index = 1, #claims do
    local claim, value, rest = claims[index]
    if claim[6] == 1 then
      value, rest = weigh[claim[1]](claim, values[claim.at], received)
      if claim[3] > 0 then
        write[#write + 1], write[#write + 2] = fields[claim.at], value
      end
    else
      value, rest = weigh_beyond(order, claim, beyond, received, contestant)
    end
    if not value then
      refuse(claim[8])
      return '\146\2\146' .. pack(index - 1) .. pack(rest)
    end
    lefts[index] = rest
  end
  if #claims > 0 then
    left = pack(lefts)
  end
  local expiry = order.expiry > tonumber(values[1] or 0) and order.expiry
  local known = votes[contestant] or (tonumber(call('HGET', KEYS[2], contestant) or 0) * 0)
  local count, first = order[1] + known, '\146' .. ballots[at + 6] .. left
  rows[#rows + 1] = '' .. ballots[at + 5]

  -- the books have been read: writing them cannot fail any more, unless the engine lets nothing be written at all
  writing = true
  if expiry then
    call('HSET', key, client, first, '!', expiry, unpack(write))
    call('PEXPIREAT', key, expiry)
  else
    call('HSET', key, client, first, unpack(write))
  end
  if beyond then
    write_beyond(order, beyond)
  end
  writing = false
  votes[contestant] = count
  total = total + order[1]
  kinds[order[4]] = (kinds[order[4]] or 0) + order[1]
  voters[#voters + 1] = ballots[at]
  return '\146\0' .. left
end

for at = 1, #ballots, VALUES do
  local taken = #rows
  local whole, answer = pcall(judge, at)
  if not whole then
    if writing and taken == 0 then  -- out of memory, read-only, disk failing: not this ballot's fault
      return redis.error_reply(type(answer) == 'table' and answer.err or tostring(answer))
    end
    refuse('TRY_AGAIN')
    answer = BROKEN
    rows[taken + 1] = nil
    writing = false
  end
  answers[#answers + 1] = answer
end

-- Votes by type and the number of voters, for display alone: a key of theirs that is broken costs no vote. Both are
-- forgotten with the tally.
local function count_turnout()
  for first = 1, #voters, UNPACKED do
    redis.pcall('PFADD', ARGV[6], unpack(voters, first, min(first + UNPACKED - 1, #voters)))
  end
  for kind_of_vote, count in pairs(kinds) do
    if redis.pcall('HINCRBY', ARGV[5], kind_of_vote, count) == count then  -- the first of its type
      redis.pcall('PEXPIREAT', ARGV[5], hard + KEPT)
      redis.pcall('PEXPIREAT', ARGV[6], hard + KEPT)
    end
  end
end

if #rows > 0 then
  for contestant, count in pairs(votes) do
    call('HINCRBY', KEYS[2], contestant, count)
  end
  if fresh then
    call('PEXPIREAT', KEYS[2], hard + KEPT)
  end
  local header = string.char(220, floor(#rows / 256), #rows % 256)  -- msgpack array 16
  local entry = {'k', 'b', 'w', ARGV[1], 'n', #rows, 'v', header .. table.concat(rows)}
  if #spent > 0 then
    entry[9], entry[10] = 'j', pack(spent)
  end
  call('XADD', KEYS[3], '*', unpack(entry))
  count_turnout()
end
if next(changed) then
  for field in pairs(changed) do
    call('HSET', ARGV[4], field, shared[field])
  end
  call('PEXPIREAT', ARGV[4], hard + KEPT)
end
if hard and next(refused) then  -- a window without a gate has no books either
  for code, ballots_refused in pairs(refused) do
    call('HINCRBY', KEYS[4], code, ballots_refused)
  end
  call('PEXPIREAT', KEYS[4], hard + KEPT)
end

firsts[1] = string.char(220, floor(#answers / 256), #answers % 256) .. table.concat(answers)
return firsts
