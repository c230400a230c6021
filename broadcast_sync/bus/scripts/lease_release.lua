-- Gives a lease back, if it is still the caller's.
--
-- KEYS[1] lease   hash: holder, token
-- ARGV[1] holder
--
-- Result: 1 if it was given back, 0 if it was not the caller's

if redis.call('HGET', KEYS[1], 'holder') == ARGV[1] then
  return redis.call('DEL', KEYS[1])
end
return 0
