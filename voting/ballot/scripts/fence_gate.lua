-- Shuts a window's gate in one shard for ever and records where its ballots end. Idempotent.
--
-- KEYS[1] gate    hash: state, opensMs, hardClosesMs, revision, opened, fence
-- KEYS[2] tally   hash: contestant id -> votes
-- KEYS[3] stream  the shard's ballots
-- KEYS[4] refused hash: error code -> ballots refused with it
-- ARGV[1] window id
-- Result: {id of the fence's entry in the stream, id of the stream's last entry, {contestant id, votes, ...},
--          {error code, ballots, ...}}
--
-- Appends k=f, w=window id, d=JSON {contestant id: votes} once; a second fence returns the first one's id. No ballot
-- of the window is accepted after it. A gate that is missing is made shut, so that a window can always be settled.

local KEPT = 30 * 86400000

local tally = redis.call('HGETALL', KEYS[2])
local fence = redis.call('HGET', KEYS[1], 'fence')
if not fence then
  local kind = redis.call('TYPE', KEYS[3]).ok
  if kind ~= 'stream' and kind ~= 'none' then
    return redis.error_reply('WRONGTYPE the stream of this shard is a ' .. kind)
  end
  local parts = {}
  for i = 1, #tally, 2 do
    parts[#parts + 1] = cjson.encode(tally[i]) .. ':' .. tally[i + 1]
  end
  redis.call('HSET', KEYS[1], 'state', 'shut')
  fence = redis.call('XADD', KEYS[3], '*', 'k', 'f', 'w', ARGV[1], 'd', '{' .. table.concat(parts, ',') .. '}')
  redis.call('HSET', KEYS[1], 'fence', fence)
  redis.call('PEXPIRE', KEYS[1], KEPT)
  redis.call('PEXPIRE', KEYS[2], KEPT)
  redis.call('PEXPIRE', KEYS[4], KEPT)
end
local info, last = redis.call('XINFO', 'STREAM', KEYS[3]), fence
for i = 1, #info, 2 do
  if info[i] == 'last-generated-id' then
    last = info[i + 1]
  end
end
return {fence, last, tally, redis.call('HGETALL', KEYS[4])}
