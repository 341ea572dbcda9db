-- Everything that one client wants of one instance in one turn: acquire, renew, raise, release, give back.
--
-- KEYS: 1 boot record (string); 2 fence counters (hash); 3 a mark (string), there while anybody may wait for
--       anything; 4.. the ops' lock keys, in order (strings; beside each, by name, its queue (zset), readers
--       (zset) and reader numbers (hash)).
-- ARGV: 1 boot record as the client registered it; 2 prefix; 3 when the client sent this, on this server's
--       clock, microseconds; 4 client id, reserveMs, ticketMs, bargeMaxMs, waitersMax and whether this
--       instance tells who comes next, with spaces; 5 how many of the first ops are A, M or R and have
--       different keys; 6 the earliest deadline of those, on this server's clock, microseconds; then the
--       ops: a letter and its fields (see `ops`).
-- Returns: one text. Its first line is this server's TIME, seconds and microseconds, or "ABSTAIN" and that
--       when the boot record is not the one given, and then nothing was done. A line for each op follows.
-- Atomic: a lock must not change hands between the look at it and the taking of it, and an instance must
--       not change its membership between the look at the boot record and whatever rests on it.
--
-- A lock key holds `<holder token: 28><number: 8>`, more after a space, or a reservation
-- `!<ticket> <until, microseconds>`: then the first in the queue was told, and holds nothing yet.
-- A ticket is `<holder token><kind>`: x exclusive, w writer, r reader, m several keys. Its score is its time.
-- A message is `w <ticket> <key>`, it is yours, or `<ms> <ticket> <key>`, you are next: look after so long.
local call, sub, format = redis.call, string.sub, string.format

local time = call('TIME')
local found = call('MGET', KEYS[1], KEYS[3], KEYS[4])
if found[1] ~= ARGV[1] then return 'ABSTAIN ' .. time[1] .. ' ' .. time[2] end

-- How far a token may be ahead of this clock: ten minutes.
local SKEW_US = 600000000
local now = time[1] * 1000000 + time[2]
local prefix, mark = ARGV[2], KEYS[3]
local leaseMsMax = tonumber(string.match(ARGV[1], '^%d+ (%d+)'))
local at, nextKey, last = 7, 4, #ARGV
local answers = { time[1] .. ' ' .. time[2] }

-- The usual case first, exclusive locks on one key each that nobody waits for: a few commands for all.
-- What turns out not to be usual is left for later; the keys differ, so the order does not matter.
local usual, left, leftCount = tonumber(ARGV[5]), {}, 0
if now > tonumber(ARGV[6]) then usual = 0 end
local takes, reads, readBy = {}, {}, {}
for n = 1, usual do
  local op, key, start = ARGV[at], KEYS[nextKey], at
  at = at + (op == 'R' and 2 or op == 'A' and 7 or 5)
  answers[n + 1] = '+'
  if found[2] and call('EXISTS', prefix .. ':queue:' .. key) == 1 or
    op ~= 'R' and tonumber(ARGV[start + 2]) > leaseMsMax then
    left[n] = { start, nextKey }
    leftCount = leftCount + 1
  elseif op == 'A' then
    takes[#takes + 1] = n
    takes[#takes + 1] = start
    takes[#takes + 1] = nextKey
  else
    reads[#reads + 1] = key
    readBy[#reads] = { n, start, nextKey }
  end
  nextKey = nextKey + 1
end
-- What is given up first: where memory is short, nothing is stored, and that must not keep it.
if #reads > 0 then
  local values = usual == 1 and { found[3] } or call('MGET', unpack(reads))
  local freed, renewed = {}, {}
  for n, key in ipairs(reads) do
    local start, value = readBy[n][2], values[n]
    local given = ARGV[start + 1]
    if not value or sub(value, 1, 36) > sub(given, 1, 36) or sub(value, 1, 28) ~= sub(given, 1, 28) then
      left[readBy[n][1]] = { start, readBy[n][3] }
      leftCount = leftCount + 1
    elseif ARGV[start] == 'R' then
      freed[#freed + 1] = key
    elseif call('PTTL', key) > tonumber(ARGV[start + 2]) then
      left[readBy[n][1]] = { start, readBy[n][3] }
      leftCount = leftCount + 1
    else
      renewed[key] = start
    end
  end
  if #freed > 0 then call('DEL', unpack(freed)) end
  for key, start in pairs(renewed) do call('SET', key, ARGV[start + 1], 'PX', ARGV[start + 2]) end
end
local counters, proposals, grants = {}, {}, {}
for n = 1, #takes, 3 do
  local place, start, keyAt = takes[n], takes[n + 1], takes[n + 2]
  if call('SET', KEYS[keyAt], ARGV[start + 1], 'PX', ARGV[start + 2], 'NX') then
    counters[#counters + 1] = ARGV[start + 5]
    proposals[#counters], grants[#counters] = ARGV[start + 4], place
  else
    left[place] = { start, keyAt }
    leftCount = leftCount + 1
  end
end
if #counters > 0 then
  local highs = call('HMGET', KEYS[2], unpack(counters))
  local known, raised = {}, {}
  for n, counter in ipairs(counters) do
    local high, proposed = known[counter] or tonumber(highs[n] or 0), tonumber(proposals[n])
    if proposed <= high or proposed > now + SKEW_US then
      answers[grants[n] + 1] = '+' .. format('%.0f', high)
    else
      raised[#raised + 1] = counter
      raised[#raised + 1] = proposals[n]
      known[counter] = proposed
    end
  end
  if #raised > 0 then call('HSET', KEYS[2], unpack(raised)) end
end
if at > last and leftCount == 0 then return table.concat(answers, '\n') end

-- From here on one op after the other, each with all that may be in its way.
local sentAt = tonumber(ARGV[3])
local client, reserveMs, ticketMs, bargeMax, waitersMax, tells =
  string.match(ARGV[4], '^(%x+) (%d+) (%d+) (%d+) (%d+) (%d)$')
reserveMs, ticketMs, waitersMax = tonumber(reserveMs), tonumber(ticketMs), tonumber(waitersMax)
bargeMax = tonumber(bargeMax) * 1000
local ours = '^' .. string.rep('%x', 36) .. ' '

-- What a lock key holds. A plain key may be somebody's data, of another type: then a foreign holder has it.
local function get(key)
  local value = redis.pcall('GET', key)
  return type(value) == 'table' and '?' or value
end

-- The field at the cursor, which moves on.
local function field()
  at = at + 1
  return ARGV[at - 1]
end

-- As many fields as the next one says.
local function list()
  local all = {}
  for n = 1, tonumber(field()) do all[n] = field() end
  return all
end

-- The op's lock keys: how many, its last field says, unless that is known.
local function keys(count)
  local all = {}
  count = count or tonumber(field())
  for n = 1, count do all[n] = KEYS[nextKey + n - 1] end
  nextKey = nextKey + count
  return all
end

--@include parts/waiting.lua

-- Takes the key for this value; what the same holder has already is never shortened nor renumbered down.
local function take(key, value, kind, leaseMs)
  local base = sub(value, 1, 28)
  if kind == 'r' then return share(key, base, sub(value, 29, 36), now + leaseMs * 1000) end
  local before = get(key)
  if before and sub(before, 1, 28) == base then
    leaseMs = math.max(leaseMs, call('PTTL', key))
    if sub(before, 29, 36) > sub(value, 29, 36) then value = before end
  end
  call('SET', key, value, 'PX', leaseMs)
end

-- Stores the proposal when it is above every counter; else says the highest of them.
local function propose(counters, proposal)
  local high = 0
  for _, counter in ipairs(counters) do
    high = math.max(high, tonumber(call('HGET', KEYS[2], counter) or 0))
  end
  local proposed = tonumber(proposal)
  if proposed <= high or proposed > now + SKEW_US then return '+' .. format('%.0f', high) end
  for _, counter in ipairs(counters) do call('HSET', KEYS[2], counter, proposal) end
  return '+'
end

local function isLate(deadlineMs) return now > sentAt + tonumber(deadlineMs) * 1000 end

local function holds(key, base, kind)
  if kind == 'r' then
    local ends = tonumber(call('ZSCORE', readersOf(key), base) or 0)
    return ends > now and call('HGET', numbersOf(key), base) ~= '00000000'
  end
  return sub(get(key) or '', 1, 28) == base
end

-- Takes away what `base` has under this number or a lower one. True when there was something.
local function give(key, base, number, kind)
  if kind == 'r' then
    local has = call('HGET', numbersOf(key), base)
    if not has or has > number then return false end
    call('HDEL', numbersOf(key), base)
    call('ZREM', readersOf(key), base)
    return true
  end
  local value = get(key)
  if not value or sub(value, 1, 28) ~= base or sub(value, 29, 36) > number then return false end
  return call('DEL', key) > 0
end

local ops = {}

-- "+" granted, proposal stored; "+C" granted, the counter is C; "- ms place foreign" refused, look again
-- after ms; "L" came late; "F" the queue is full; "E ms" the lease is longer than the group allows.
local function acquire(kind, value, leaseMs, deadlineMs, proposal, score, barge, counters, wanted)
  local base = sub(value, 1, 28)
  local ticket = base .. kind
  if isLate(deadlineMs) then return 'L' end
  if leaseMs > leaseMsMax then return 'E ' .. leaseMsMax end
  local ms, foreign, kept = nil, 0, {}
  for _, key in ipairs(wanted) do
    local found = obstacle(key, base, kind, barge)
    if found then
      ms = math.max(ms or 0, found.ms)
      if found.foreign then foreign = 1 end
      if found.free then kept[#kept + 1] = key end
    end
  end
  if not ms then
    for _, key in ipairs(wanted) do
      take(key, value, kind, leaseMs)
      if queued and score ~= '0' then drop(queueOf(key), ticket) end
    end
    if queued and score ~= '0' then setAlive() end
    return propose(counters, proposal)
  end
  local place = -1
  if score ~= '0' then
    if not file(wanted, ticket, score) then return 'F' end
    for _, key in ipairs(wanted) do place = math.max(place, call('ZRANK', queueOf(key), ticket)) end
  end
  for _, key in ipairs(kept) do
    if not valueOf(key) then serve(key) end
  end
  return '- ' .. ms .. ' ' .. place .. ' ' .. foreign
end

-- a kind value leaseMs deadlineMs proposal score barge counterCount counter* keyCount. A score of 0 files no
-- ticket. A value leaseMs deadlineMs proposal counter score: the same for one exclusive key, without barging.
function ops.a()
  local kind, value, leaseMs, deadlineMs = field(), field(), tonumber(field()), field()
  local proposal, score, barge = field(), field(), field() == '1'
  local counters = list()
  return acquire(kind, value, leaseMs, deadlineMs, proposal, score, barge, counters, keys())
end

function ops.A()
  local value, leaseMs, deadlineMs, proposal = field(), tonumber(field()), field(), field()
  local counters, score = { field() }, field()
  return acquire('x', value, leaseMs, deadlineMs, proposal, score, false, counters, keys(1))
end

-- m kind value leaseMs deadlineMs mayTake keyCount: "+" renewed, "-" not this holder's, "L", "E ms".
-- `mayTake` is for an instance on which the hold never was: it joins where the key is free.
-- M value leaseMs deadlineMs mayTake: the same for one exclusive key.
function ops.m(kind, count)
  kind = kind or field()
  local value, leaseMs, deadlineMs, mayTake = field(), tonumber(field()), field(), field() == '1'
  local wanted = keys(count)
  local base = sub(value, 1, 28)
  if isLate(deadlineMs) then return 'L' end
  if leaseMs > leaseMsMax then return 'E ' .. leaseMsMax end
  for _, key in ipairs(wanted) do
    local mayJoin = mayTake and not obstacle(key, base, kind, false)
    if not mayJoin and not holds(key, base, kind) then return '-' end
  end
  for _, key in ipairs(wanted) do take(key, value, kind, leaseMs) end
  return '+'
end

function ops.M() return ops.m('x', 1) end

-- f kind base token deadlineMs counterCount counter* keyCount: "+" still the holder's, and the counters are
-- at least the token; "-" not the holder's; "L".
function ops.f()
  local kind, base, token, deadlineMs = field(), field(), field(), field()
  local counters = list()
  local wanted = keys()
  if isLate(deadlineMs) then return 'L' end
  for _, key in ipairs(wanted) do
    if not holds(key, base, kind) then return '-' end
  end
  for _, counter in ipairs(counters) do
    if tonumber(call('HGET', KEYS[2], counter) or 0) < tonumber(token) then
      call('HSET', KEYS[2], counter, token)
    end
  end
  return '+'
end

-- r kind held keyCount: takes back what the holder has (its token and the highest number), and its ticket;
-- "+" when it had all of the keys, else "-". R held: the same for one exclusive key.
function ops.r(kind, count)
  kind = kind or field()
  local held, wanted, answer = field(), keys(count), '+'
  local base, number = sub(held, 1, 28), sub(held, 29)
  for _, key in ipairs(wanted) do
    drop(queueOf(key), base .. kind)
    if not give(key, base, number, kind) then answer = '-' end
    if sub(get(key) or '', 2, 29) == base then call('DEL', key) end
  end
  for _, key in ipairs(wanted) do
    if not valueOf(key) then serve(key) end
  end
  return answer
end

function ops.R() return ops.r('x', 1) end

-- g kind held score keyCount: gives the keys back if anybody in a queue is before the holder, who
-- then queues again; "+" kept, "-" given back.
function ops.g()
  local kind, held, score, wanted = field(), field(), field(), keys()
  local base, number = sub(held, 1, 28), sub(held, 29)
  local ticket = base .. kind
  local isFirst = true
  for _, key in ipairs(wanted) do
    local head = first(queueOf(key))
    local ahead = head and tonumber(score) - tonumber(call('ZSCORE', queueOf(key), head)) or -1
    if ahead > 0 or (ahead == 0 and head < ticket) then isFirst = false end
  end
  if isFirst then return '+' end
  for _, key in ipairs(wanted) do give(key, base, number, kind) end
  file(wanted, ticket, score)
  for _, key in ipairs(wanted) do
    if not valueOf(key) then serve(key) end
  end
  return '-'
end

-- x deadlineMs keyCount: whoever holds the keys does so no longer; "+" when anybody did, "-", "L".
function ops.x()
  local deadlineMs, wanted, answer = field(), keys(), '-'
  if isLate(deadlineMs) then return 'L' end
  for _, key in ipairs(wanted) do
    if call('DEL', key, readersOf(key), numbersOf(key)) > 0 then answer = '+' end
    serve(key)
  end
  return answer
end

-- Does the op at the cursor; what it answers.
local function one()
  queued, stuck = false, {}
  return ops[field()]()
end

-- Whoever asks is alive, whatever it has let run out.
if (stateOf(client) or 0) < 0 then setAlive() end

local restAt, restKey = at, nextKey
for n = 1, leftCount > 0 and usual or 0 do
  if left[n] then
    at, nextKey = left[n][1], left[n][2]
    answers[n + 1] = one()
  end
end
at, nextKey = restAt, restKey
while at <= last do answers[#answers + 1] = one() end
return table.concat(answers, '\n')
