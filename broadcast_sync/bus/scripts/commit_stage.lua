-- Commits the next stage if the stored one still has the revision it was decided on: all of it or nothing.
-- The answer to a cueId that has been committed before is its first answer, whatever the stage has become. A director
-- commits under its fencing number: once another has been given a higher one, nothing of the old one is taken. A commit
-- that has lain in a held engine until after its time is not made: who asked for it has long been told TRY_AGAIN.
--
-- KEYS[1] state    string, the stage as JSON
-- KEYS[2] events   stream, field m: a message of channel "show"
-- KEYS[3] cues     stream, field m: a cue record
-- KEYS[4] fence    counter of the director's lease
-- KEYS[5] time     hash: how the shared time differs from the engine's, see time_keep.lua
-- KEYS[6..] acks   strings, answers to cues
-- ARGV[1] expected revision (0: nothing stored)
-- ARGV[2] next stage as JSON
-- ARGV[3] pub/sub channel
-- ARGV[4] most entries to keep in the events stream, about
-- ARGV[5] life of an answer, s
-- ARGV[6] the committer's fencing number (0: a node's, any)
-- ARGV[7] 1 if an answer in KEYS[6] comes first, 0 if it is overwritten
-- ARGV[8] number of cue records
-- ARGV[9] the last ms, in shared time, at which it may be made (0: any)
-- ARGV[10..] for each ack its JSON (empty: it is forgotten), then the records, then the messages, in order
--
-- Result: {'committed'} | {'conflict'} | {'fenced'} | {'late', ms} | {'replayed', answer}

local acks = #KEYS - 5
if acks > 0 and ARGV[7] == '1' then
  local first = redis.call('GET', KEYS[6])
  if first then
    return {'replayed', first}
  end
end

local token = tonumber(ARGV[6])
if token > 0 and tonumber(redis.call('GET', KEYS[4]) or 0) > token then
  return {'fenced'}
end

local last = tonumber(ARGV[9])
if last > 0 then
  local now = redis.call('TIME')
  local shared = now[1] * 1000 + math.floor(now[2] / 1000) + (redis.call('HGET', KEYS[5], 'offset') or 0)
  if shared > last then
    return {'late', shared - last}
  end
end

local stored = redis.call('GET', KEYS[1])
local revision = 0
if stored then
  revision = cjson.decode(stored).revision
end
if revision ~= tonumber(ARGV[1]) then
  return {'conflict'}
end

redis.call('SET', KEYS[1], ARGV[2])
local record = 9 + acks
local message = record + tonumber(ARGV[8])
for i = message + 1, #ARGV do
  redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[4], '*', 'm', ARGV[i])
end
for i = 1, acks do
  if ARGV[9 + i] == '' then
    redis.call('DEL', KEYS[5 + i])
  else
    redis.call('SET', KEYS[5 + i], ARGV[9 + i], 'EX', ARGV[5])
  end
end
for i = record + 1, message do
  redis.call('XADD', KEYS[3], '*', 'm', ARGV[i])
end
for i = message + 1, #ARGV do
  redis.call('PUBLISH', ARGV[3], ARGV[i])
end
return {'committed'}
