-- Hands an instance over to a group in which one instance took the place of another.
--
-- KEYS: 1 boot record (string); 2 run ids of the other instances (hash); 3 the group, for people (string).
-- ARGV: 1 the boot record that is expected, "" for none; 2 the record to be written; 3 id of the newcomer;
--       4 what is to be known of it; 5 id of the one that leaves; 6 the group as JSON.
-- Returns: { 1 when it was done, else 0; the record now, false for none; TIME in microseconds }.
-- Atomic: from the moment that the new group may use this instance, it must know that the newcomer waits.
local call = redis.call

local time = call('TIME')
local now = string.format('%.0f', time[1] * 1000000 + time[2])
local record = call('GET', KEYS[1])
if (record or '') ~= ARGV[1] then return { 0, record, now } end
call('SET', KEYS[1], ARGV[2])
call('HSET', KEYS[2], ARGV[3], ARGV[4])
call('HDEL', KEYS[2], ARGV[5])
call('SET', KEYS[3], ARGV[6])
return { 1, ARGV[2], now }
