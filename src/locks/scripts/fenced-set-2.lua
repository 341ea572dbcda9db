-- Sets a value, unless a holder with a newer fencing token has set it before.
-- KEYS[1] the value, of any type: SET makes it a string without an expiry.
-- KEYS[2] string: the newest fencing token that has set KEYS[1], in decimal, without an expiry.
-- ARGV[1] the value, any bytes.
-- ARGV[2] the fencing token, in decimal, at most 2^53 - 1: a Lua number holds it exactly.
-- Returns 1 when the value was set, 0 when a newer token had set it: then nothing has changed.
-- Atomic because a newer holder's value between the comparison and the SET would be overwritten.
local held = redis.call('GET', KEYS[2])
if held then
  local newest = tonumber(held)
  if not newest then
    return redis.error_reply('ERR the fencing token beside the value is not a number')
  end
  if newest > tonumber(ARGV[2]) then
    return 0
  end
end
-- The token first: should the second SET not happen, an older holder is refused all the same.
redis.call('SET', KEYS[2], ARGV[2])
redis.call('SET', KEYS[1], ARGV[1])
return 1
