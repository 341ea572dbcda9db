-- Takes away locks that stand on an instance which nobody may hold there any more.
--
-- KEYS: 1 boot record (string); 2.. keys of locks and their readers (strings, zsets, hashes).
-- ARGV: 1 the boot record that is expected: one that abstains, after its wait.
-- Returns: 1 when they are gone, 0 when the record is another one, and then nothing was done.
-- Atomic: as soon as the instance is a member again, new locks may stand at the same keys.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
for at = 2, #KEYS do redis.call('DEL', KEYS[at]) end
return 1
