-- Opens a window in one shard, or moves the times of an open one. Never opens a shut gate again.
--
-- KEYS[1] gate    hash: state, opensMs, hardClosesMs, revision, opened, fence
-- KEYS[2] stream  the shard's ballots
-- KEYS[3] refused hash: code -> ballots refused with it
-- ARGV[1] window id
-- ARGV[2] opens, Unix ms
-- ARGV[3] hard close, Unix ms
-- ARGV[4] revision of the show; times of an older one than the gate has are ignored
-- ARGV[5] JSON of the window for the ledger, or '' to move the times only
-- Result: 1 if the gate is open with these or newer times, 0 if it is shut or was never opened.
--
-- Opening appends k=o, w=window id, d=JSON to the stream, once, and so before any ballot of the window. A gate that
-- is missing is not made again by a move: without it ballots are refused, for its counters are lost as well.
-- The count of refusals is made with the gate: a cluster that moves a slot takes no script one of whose keys is missing.

local KEPT = 30 * 86400000

local state = redis.call('HGET', KEYS[1], 'state')
if state == 'shut' or (not state and ARGV[5] == '') then
  return 0
end
if state then
  local known = tonumber(redis.call('HGET', KEYS[1], 'revision')) or 0
  if tonumber(ARGV[4]) < known then
    return 1
  end
  redis.call('HSET', KEYS[1], 'hardClosesMs', ARGV[3], 'revision', ARGV[4])
else
  local kind = redis.call('TYPE', KEYS[2]).ok
  if kind ~= 'stream' and kind ~= 'none' then
    return redis.error_reply('WRONGTYPE the stream of this shard is a ' .. kind)
  end
  redis.call('HINCRBY', KEYS[3], 'VOTING_ENDED', 0)
  redis.call('HSET', KEYS[1], 'state', 'open', 'opensMs', ARGV[2], 'hardClosesMs', ARGV[3], 'revision', ARGV[4])
  local opened = redis.call('XADD', KEYS[2], '*', 'k', 'o', 'w', ARGV[1], 'd', ARGV[5])
  redis.call('HSET', KEYS[1], 'opened', opened)
end
redis.call('PEXPIREAT', KEYS[1], tonumber(ARGV[3]) + KEPT)
redis.call('PEXPIREAT', KEYS[3], tonumber(ARGV[3]) + KEPT)
return 1
