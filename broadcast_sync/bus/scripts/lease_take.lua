-- Takes a free lease or renews one's own. The fencing number grows with each change of holder.
--
-- KEYS[1] lease   hash: holder, token; expires with the lease
-- KEYS[2] fence   counter, never expires
-- ARGV[1] holder
-- ARGV[2] life, ms
--
-- Result: the fencing number while ARGV[1] holds the lease, 0 while another does

local holder = redis.call('HGET', KEYS[1], 'holder')
if holder and holder ~= ARGV[1] then
  return 0
end
local token
if holder then
  token = tonumber(redis.call('HGET', KEYS[1], 'token'))
else
  token = redis.call('INCR', KEYS[2])
  redis.call('HSET', KEYS[1], 'holder', ARGV[1], 'token', token)
end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return token
