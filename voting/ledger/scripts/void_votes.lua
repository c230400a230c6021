-- Takes voided votes off a window's tally in one shard, each once, gives back what wallets have paid for them, and appends
-- all of it to the stream for the ledger.
--
-- KEYS[1] tally   hash: contestant id -> votes
-- KEYS[2] voided  hash: contestant id -> votes voided
-- KEYS[3] ids     set: vote ids that are voided
-- KEYS[4] stream  the shard's ballots
-- KEYS[5] types   hash: vote type -> votes, for display alone: broken, it keeps no vote from being voided
--   The voters' wallets carry the same hash tag; see take_ballots.lua.
-- ARGV[1] window id
-- ARGV[2] JSON: why, by whom, when
-- ARGV[3] Unix ms now
-- ARGV[4..] seven a vote: vote id, contestant id, weighted votes, JSON [vote id, contestant id, vote type, weighted votes],
--           voter, wallet, JSON [[account, lot, votes, expiry in Unix ms or 0], ...] of what the wallet paid, or ''
-- Result: {id of the entry, or '' if all had been voided before; how many were voided now; how many of them could not be
--          given back, as their wallet is broken}
--
-- Appends k=v, w=window id, d=why, v=JSON array of the votes, and if anything was given back, j=JSON array of [vote from 0,
-- voter, account, lot, votes]. A tally that has been forgotten is not made again. Votes of a bundle that has ended are not
-- given back: they would have ended as well.

local KEPT = 30 * 86400000
local VALUES = 7

local kind = redis.call('TYPE', KEYS[4]).ok
if kind ~= 'stream' and kind ~= 'none' then
  return redis.error_reply('WRONGTYPE the stream of this shard is a ' .. kind)
end
local known, now = redis.call('EXISTS', KEYS[1]) == 1, tonumber(ARGV[3])
local rows, refunds, broken = {}, {}, 0

local function put_back(lots, expiry, lot, votes)
  for at = 1, #lots, 3 do
    if lots[at + 1] == lot then
      lots[at + 2] = lots[at + 2] + votes
      return
    end
  end
  local at = 1
  while at <= #lots and lots[at] <= expiry do
    at = at + 3
  end
  table.insert(lots, at, votes)
  table.insert(lots, at, lot)
  table.insert(lots, at, expiry)
end

-- Reads and reckons first and writes once, so that a broken wallet is left as it is.
local function give_back(voter, wallet, payments)
  local held = redis.call('HMGET', wallet, 'paid', 'lots')
  local paid, lots = tonumber(held[1] or 0), held[2] and cmsgpack.unpack(held[2]) or {}
  if not paid or type(lots) ~= 'table' then
    error('the wallet is broken')
  end
  local given = {}
  for _, payment in ipairs(cjson.decode(payments)) do
    local account, lot, votes, expiry = unpack(payment)
    if account == 'paid' then
      paid = paid + votes
    elseif expiry > now then
      put_back(lots, expiry, lot, votes)
    else
      votes = 0
    end
    if votes > 0 then
      given[#given + 1] = {#rows, voter, account, lot, votes}
    end
  end
  if #given > 0 then
    redis.call('HSET', wallet, 'paid', string.format('%.0f', paid), 'lots', cmsgpack.pack(lots))
  end
  return given
end

for at = 4, #ARGV, VALUES do
  if redis.call('SADD', KEYS[3], ARGV[at]) == 1 then
    if known then
      redis.call('HINCRBY', KEYS[1], ARGV[at + 1], '-' .. ARGV[at + 2])
      redis.call('HINCRBY', KEYS[2], ARGV[at + 1], ARGV[at + 2])
      redis.pcall('HINCRBY', KEYS[5], cjson.decode(ARGV[at + 3])[3], '-' .. ARGV[at + 2])
    end
    if ARGV[at + 6] ~= '' then
      local whole, given = pcall(give_back, ARGV[at + 4], ARGV[at + 5], ARGV[at + 6])
      broken = broken + (whole and 0 or 1)
      for _, refund in ipairs(whole and given or {}) do
        refunds[#refunds + 1] = refund
      end
    end
    rows[#rows + 1] = ARGV[at + 3]
  end
end
if #rows == 0 then
  return {'', 0, 0}
end
redis.call('PEXPIRE', KEYS[2], KEPT)
redis.call('PEXPIRE', KEYS[3], KEPT)
local entry = {'k', 'v', 'w', ARGV[1], 'd', ARGV[2], 'v', '[' .. table.concat(rows, ',') .. ']'}
if #refunds > 0 then
  entry[9], entry[10] = 'j', cjson.encode(refunds)
end
return {redis.call('XADD', KEYS[4], '*', unpack(entry)), #rows, broken}
