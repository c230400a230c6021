-- Gives votes to a voter's wallet, once a key, and ends the lots that have expired.
--
-- KEYS[1] wallet  hash: paid -> votes that never expire, lots -> msgpack [expiry ms, lot, votes, ...], soonest first
-- KEYS[2] stream  the shard's ballots
-- KEYS[3] memory  string: the first answer to this key
-- ARGV[1] account: 'paid', 'bundle', or '' to end expired lots only
-- ARGV[2] votes
-- ARGV[3] lot, ARGV[4] its expiry in Unix ms: of a bundle
-- ARGV[5] Unix ms now
-- ARGV[6] JSON of the change, for the journal
-- ARGV[7] ms for which the key is remembered
-- ARGV[8] the most votes that never expire, ARGV[9] the most lots
-- Result: {1, paid votes, lots' votes}           done
--         {0, JSON of the change, paid, lots']   the key was used before; nothing was changed
--         {2}                                    it would be more than a wallet holds; nothing was changed
--
-- What is changed is appended as one entry: k=c, d=JSON of the change, and x=msgpack [lot, votes, ...] of what expired.

local LOT_KEPT = 60000  -- as in take_ballots.lua: an expired lot waits for ballots that arrived before its end

local account, votes, now = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[5])
local held = redis.call('HMGET', KEYS[1], 'paid', 'lots')
local paid, lots = tonumber(held[1] or 0), held[2] and cmsgpack.unpack(held[2]) or {}
local first = redis.call('GET', KEYS[3])
local kind = redis.call('TYPE', KEYS[2]).ok
if kind ~= 'stream' and kind ~= 'none' then
  return redis.error_reply('WRONGTYPE the stream of this shard is a ' .. kind)
end

local kept, expired, left = {}, {}, 0
local function keep(expiry, lot, amount)
  kept[#kept + 1], kept[#kept + 2], kept[#kept + 3] = expiry, lot, amount
  if expiry > now then
    left = left + amount
  end
end
local new = account == 'bundle' and not first and tonumber(ARGV[4])
for at = 1, #lots, 3 do
  if new and new < lots[at] then
    keep(new, ARGV[3], votes)
    new = nil
  end
  if lots[at] + LOT_KEPT <= now and not first then
    expired[#expired + 1], expired[#expired + 2] = lots[at + 1], lots[at + 2]
  else
    keep(lots[at], lots[at + 1], lots[at + 2])
  end
end
if new then
  keep(new, ARGV[3], votes)
end
if first then
  return {0, first, paid, left}
end
if account == 'paid' then
  paid = paid + votes
end
if paid > tonumber(ARGV[8]) or #kept > 3 * tonumber(ARGV[9]) then
  return {2}
end
if account == '' and #expired == 0 then
  return {1, paid, left}
end

redis.call('HSET', KEYS[1], 'paid', string.format('%.0f', paid), 'lots', cmsgpack.pack(kept))
if account ~= '' then
  redis.call('SET', KEYS[3], ARGV[6], 'PX', ARGV[7])
end
local entry = {'k', 'c', 'd', ARGV[6]}
if #expired > 0 then
  entry[5], entry[6] = 'x', cmsgpack.pack(expired)
end
redis.call('XADD', KEYS[2], '*', unpack(entry))
return {1, paid, left}
