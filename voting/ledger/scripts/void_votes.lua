-- Takes voided votes off a window's tally in one shard, each once, and appends them to the stream for the ledger.
--
-- KEYS[1] tally   hash: contestant id -> votes
-- KEYS[2] voided  hash: contestant id -> votes voided
-- KEYS[3] ids     set: vote ids that are voided
-- KEYS[4] stream  the shard's ballots
-- KEYS[5] types   hash: vote type -> votes, for display alone: broken, it keeps no vote from being voided
-- ARGV[1] window id
-- ARGV[2] JSON: why, by whom, when
-- ARGV[3..] four a vote: vote id, contestant id, weighted votes, JSON [vote id, contestant id, vote type, weighted votes]
-- Result: {id of the entry, or '' if all had been voided before; how many were voided now}
--
-- Appends k=v, w=window id, d=why, v=JSON array of the votes. A tally that has been forgotten is not made again.

local KEPT = 30 * 86400000

local kind = redis.call('TYPE', KEYS[4]).ok
if kind ~= 'stream' and kind ~= 'none' then
  return redis.error_reply('WRONGTYPE the stream of this shard is a ' .. kind)
end
local known = redis.call('EXISTS', KEYS[1]) == 1
local rows = {}
for at = 3, #ARGV, 4 do
  if redis.call('SADD', KEYS[3], ARGV[at]) == 1 then
    if known then
      redis.call('HINCRBY', KEYS[1], ARGV[at + 1], '-' .. ARGV[at + 2])
      redis.call('HINCRBY', KEYS[2], ARGV[at + 1], ARGV[at + 2])
      redis.pcall('HINCRBY', KEYS[5], cjson.decode(ARGV[at + 3])[3], '-' .. ARGV[at + 2])
    end
    rows[#rows + 1] = ARGV[at + 3]
  end
end
if #rows == 0 then
  return {'', 0}
end
redis.call('PEXPIRE', KEYS[2], KEPT)
redis.call('PEXPIRE', KEYS[3], KEPT)
local entry = redis.call('XADD', KEYS[4], '*', 'k', 'v', 'w', ARGV[1], 'd', ARGV[2], 'v', '[' .. table.concat(rows, ',') .. ']')
return {entry, #rows}
