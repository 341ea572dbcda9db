-- One instance's view of a lock, all of one moment.
--
-- KEYS: 1 the lock key (string); 2 its queue (zset); 3 fence counters (hash).
-- ARGV: 1 the resource's counter.
-- Returns: { value or false, milliseconds left, tickets in the queue, the counter }.
-- Atomic: a value and the time it has left must be of the same holder.
local value = redis.call('GET', KEYS[1])
if value and string.sub(value, 1, 1) == '!' then value = false end
local counter = redis.call('HGET', KEYS[3], ARGV[1]) or '0'
return { value, redis.call('PTTL', KEYS[1]), redis.call('ZCARD', KEYS[2]), counter }
