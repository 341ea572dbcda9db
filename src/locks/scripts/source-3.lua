-- What another instance must be told before it may vote again: counters, and who is known.
--
-- KEYS: 1 boot record (string); 2 fence counters (hash); 3 run ids of the other instances (hash).
-- ARGV: 1 the boot record as the client saw it.
-- Returns: false when the record is another one; else { fields and values of the counters, the same of who
--       is known }.
-- Atomic: counters count only if the instance had not lost its data when they were read.
local call = redis.call

if call('GET', KEYS[1]) ~= ARGV[1] then return false end
return { call('HGETALL', KEYS[2]), call('HGETALL', KEYS[3]) }
