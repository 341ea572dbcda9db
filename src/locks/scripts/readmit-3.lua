-- Raises the fence counters of an instance, and makes it a member if so told.
--
-- KEYS: 1 boot record (string); 2 fence counters (hash, a field for each of 0 to 1,023); 3 run ids of the
--       other instances (hash).
-- ARGV: 1 the boot record that is expected; 2 the record to be written, "" to leave it; 3 "" or by how many
--       microseconds every counter must be ahead of this server's clock; 4 how many fields of KEYS[3]
--       follow; then their names and values; then names of counters and the values they must have at least.
-- Returns: { 1 when it was done, 0 when the record is another one; the record now; TIME in microseconds }.
-- Atomic: whoever finds the new record must find the raised counters, and data may vanish at any time.
local call, format = redis.call, string.format
local COUNTERS = 1024

local time = call('TIME')
local now = time[1] * 1000000 + time[2]
local record = call('GET', KEYS[1])
if record ~= ARGV[1] then return { 0, record, format('%.0f', now) } end

local function raise(field, least)
  local value = tonumber(call('HGET', KEYS[2], field) or '0')
  if least > value then call('HSET', KEYS[2], field, format('%.0f', least)) end
end

local at = 5
for _ = 1, tonumber(ARGV[4]) do
  call('HSET', KEYS[3], ARGV[at], ARGV[at + 1])
  at = at + 2
end
while ARGV[at] do
  raise(ARGV[at], tonumber(ARGV[at + 1]))
  at = at + 2
end
if ARGV[3] ~= '' then
  local least = now + tonumber(ARGV[3])
  for field = 0, COUNTERS - 1 do raise(field, least) end
end
if ARGV[2] ~= '' then
  call('SET', KEYS[1], ARGV[2])
  record = ARGV[2]
end
return { 1, record, format('%.0f', now) }
