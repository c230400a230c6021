-- Says what time it is: the director's alone.
--
-- KEYS[1] time    hash: offset (ms, shared time - engine's; not there: nobody has said), noted (ms, the shared time when
--                 this was said last; there only while it must not go back)
-- KEYS[2] lease   hash of the director's lease
-- ARGV[1] holder
-- ARGV[2] offset, ms
-- ARGV[3] noted, ms (empty: time may go back)
--
-- Result: 1, or 0 if another is the director

if redis.call('HGET', KEYS[2], 'holder') ~= ARGV[1] then
  return 0
end
redis.call('HSET', KEYS[1], 'offset', ARGV[2])
if ARGV[3] == '' then
  redis.call('HDEL', KEYS[1], 'noted')
else
  redis.call('HSET', KEYS[1], 'noted', ARGV[3])
end
return 1
