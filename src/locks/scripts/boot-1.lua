-- Changes the boot record, if it is still what the caller saw.
--
-- KEYS: 1 boot record (string).
-- ARGV: 1 the record that is expected, "" for none; 2 the record to be written.
-- Returns: { 1 when it was written, else 0; the record now, false for none; TIME in microseconds }.
-- Atomic: two clients that saw the same record must not both change it.
local call = redis.call

local time = call('TIME')
local now = string.format('%.0f', time[1] * 1000000 + time[2])
local record = call('GET', KEYS[1])
if (record or '') ~= ARGV[1] then return { 0, record, now } end
call('SET', KEYS[1], ARGV[2])
return { 1, ARGV[2], now }
