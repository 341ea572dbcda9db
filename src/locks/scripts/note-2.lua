-- Notes on an instance who the others are, so that none of them can come back empty and pass for new.
--
-- KEYS: 1 boot record (string); 2 run ids of the other instances (hash).
-- ARGV: 1 the boot record as the client saw it; then ids, each followed by what is to be known of it.
-- Returns: 1 when it was noted, 0 when the record is another one.
-- Atomic: what was known before the instance was emptied must not be noted on it afterwards. The others may
--         have been emptied with it, and be new.
local call = redis.call

if call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
for at = 2, #ARGV, 2 do call('HSET', KEYS[2], ARGV[at], ARGV[at + 1]) end
return 1
