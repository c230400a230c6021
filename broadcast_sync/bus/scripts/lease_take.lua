-- Takes a free lease or renews one's own. The fencing number grows with each change of holder.
--
-- The lease expires by the engine's clock. Should that be set back, a dead holder's would stay: so each renewal leaves a
-- new beat, and whoever has seen the same one for a whole life, by a clock of its own, may have the lease.
--
-- KEYS[1] lease   hash: holder, token, beats; expires with the lease
-- KEYS[2] fence   counter, never expires
-- ARGV[1] holder
-- ARGV[2] life, ms
-- ARGV[3] the beat that has been there for a life (empty: none)
--
-- Result: {the fencing number while ARGV[1] holds the lease, 0 while another does; the beat}

local holder, token, beats = unpack(redis.call('HMGET', KEYS[1], 'holder', 'token', 'beats'))
if holder and holder ~= ARGV[1] then
  local beat = beats and token .. ':' .. beats or ''
  if beat == '' or beat ~= ARGV[3] then
    return {0, beat}
  end
  redis.call('DEL', KEYS[1])
  holder = nil
end
if not holder then
  token = redis.call('INCR', KEYS[2])
  redis.call('HSET', KEYS[1], 'holder', ARGV[1], 'token', token)
end
beats = redis.call('HINCRBY', KEYS[1], 'beats', 1)
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return {tonumber(token), token .. ':' .. beats}
