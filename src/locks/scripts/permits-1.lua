-- How many permits a semaphore has: what was said first, for as long as anybody who means that uses it.
--
-- KEYS: 1 the number of permits (string).
-- ARGV: 1 the number that the caller means; 2 how long it is remembered from now, milliseconds.
-- Returns: the number that holds, an integer.
-- Atomic: two callers that mean different numbers must not both be told that theirs holds.
local known = tonumber(redis.call('GET', KEYS[1])) or tonumber(ARGV[1])
if known == tonumber(ARGV[1]) then redis.call('SET', KEYS[1], known, 'PX', ARGV[2]) end
return known
