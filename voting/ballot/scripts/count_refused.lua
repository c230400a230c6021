-- Adds what a node refused by itself to the counts of a window, once however often the node asks.
--
-- KEYS[1] refused   hash: code -> ballots refused with it
-- KEYS[2] refusers  hash: node -> number of its last report that was added
-- ARGV[1] node
-- ARGV[2] number of this report; a node numbers its own, upwards
-- ARGV[3] ms for which the counts are kept from now on
-- ARGV[4] code, ARGV[5] ballots, ARGV[6] code, ...
-- Result: 1 if they were added, 0 if they had been before.

if tonumber(redis.call('HGET', KEYS[2], ARGV[1]) or 0) >= tonumber(ARGV[2]) then
  return 0
end
redis.call('HLEN', KEYS[1])  -- is what it should be, before anything is written
redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
redis.call('PEXPIRE', KEYS[2], ARGV[3])
for at = 4, #ARGV, 2 do
  redis.call('HINCRBY', KEYS[1], ARGV[at], ARGV[at + 1])
end
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 1
