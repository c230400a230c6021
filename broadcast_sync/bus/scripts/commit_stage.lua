-- Commits the next stage if the stored one still has the revision it was decided on: all of it or nothing.
-- The answer to a cueId that has been committed before is its first ack, whatever the stage has become.
--
-- KEYS[1] state    string, the stage as JSON
-- KEYS[2] events   stream, field m: a message of channel "show"
-- KEYS[3] cues     stream, field m: a cue record
-- KEYS[4] ack      string, the first ack of the cue (not given without a cue)
-- ARGV[1] expected revision (0: nothing stored)
-- ARGV[2] next stage as JSON
-- ARGV[3] pub/sub channel
-- ARGV[4] most entries to keep in the events stream, about
-- ARGV[5] ack as JSON          (empty without a cue)
-- ARGV[6] life of the ack, s
-- ARGV[7] cue record as JSON   (empty: none)
-- ARGV[8..] the messages, in order
--
-- Result: {'committed'} | {'conflict'} | {'replayed', ack}

if KEYS[4] then
  local first = redis.call('GET', KEYS[4])
  if first then
    return {'replayed', first}
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
for i = 8, #ARGV do
  redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[4], '*', 'm', ARGV[i])
end
if KEYS[4] then
  redis.call('SET', KEYS[4], ARGV[5], 'EX', ARGV[6])
end
if ARGV[7] ~= '' then
  redis.call('XADD', KEYS[3], '*', 'm', ARGV[7])
end
for i = 8, #ARGV do
  redis.call('PUBLISH', ARGV[3], ARGV[i])
end
return {'committed'}
