/**
 * The Lua scripts of this folder as text. Written by `npm run embed-lua`: change the .lua files, not this.
 */

// batch-n.lua
export const batchNSource: string = `-- Everything that one client wants of one instance in one turn: acquire, renew, raise, release, give back.
--
-- KEYS: 1 boot record (string); 2 fence counters (hash); 3 a mark (string), there while anybody may wait for
--       anything; 4.. the ops' lock keys, in order (strings; beside each, by name, its queue (zset), readers
--       (zset) and reader numbers (hash)).
-- ARGV: 1 boot record as the client registered it; 2 prefix; 3 when the client sent this, on this server's
--       clock, microseconds; 4 client id, reserveMs, ticketMs, bargeMaxMs, waitersMax and whether this
--       instance tells who comes next, with spaces; 5 how many of the first ops are A, M or R and have
--       different keys; 6 the earliest deadline of those, on this server's clock, microseconds; then the
--       ops: a letter and its fields (see \`ops\`).
-- Returns: one text. Its first line is this server's TIME, seconds and microseconds, or "ABSTAIN" and that
--       when the boot record is not the one given, and then nothing was done. A line for each op follows.
-- Atomic: a lock must not change hands between the look at it and the taking of it, and an instance must
--       not change its membership between the look at the boot record and whatever rests on it.
--
-- A lock key holds \`<holder token: 28><number: 8>\`, more after a space, or a reservation
-- \`!<ticket> <until, microseconds>\`: then the first in the queue was told, and holds nothing yet.
-- A ticket is \`<holder token><kind>\`: x exclusive, w writer, r reader, m several keys. Its score is its time.
-- A message is \`w <ticket> <key>\`, it is yours, or \`<ms> <ticket> <key>\`, you are next: look after so long.
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
if at > last and leftCount == 0 then return table.concat(answers, '\\n') end

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

-- Who waits for which key, and whom a key goes to when it is free: the middle of \`batch-n.lua\`, which says
-- what stands where. Uses its now, prefix, mark, client, reserveMs, ticketMs, bargeMax, waitersMax, tells
-- and get.
local function queueOf(key) return prefix .. ':queue:' .. key end
local function readersOf(key) return prefix .. ':readers:' .. key end
local function numbersOf(key) return prefix .. ':readnums:' .. key end
local function recordOf(base) return prefix .. ':ticket:' .. base end

-- Clients with tickets: for how many ms what is free is kept for them; below 0 for one that let a reservation
-- run out; false gone. Asked once in a run.
local clients = {}

local function stateOf(id)
  if clients[id] == nil then
    local state = call('GET', prefix .. ':client:' .. id)
    clients[id] = state and tonumber(state)
  end
  return clients[id]
end

local isRefreshed = false

local function setAlive()
  if isRefreshed then return end
  call('SET', prefix .. ':client:' .. client, reserveMs, 'PX', ticketMs)
  clients[client], isRefreshed = reserveMs, true
end

local function forget(id)
  call('DEL', prefix .. ':client:' .. id)
  clients[id] = false
end

local function drop(queue, ticket)
  call('ZREM', queue, ticket)
  if sub(ticket, 29) == 'm' then call('DEL', recordOf(sub(ticket, 1, 28))) end
end

local function tell(ticket, word, key)
  return call('PUBLISH', prefix .. ':wake:' .. sub(ticket, 1, 16), word .. ' ' .. ticket .. ' ' .. key) > 0
end

-- Of the op at hand: true once it met a ticket, or something of its own holder, so that a ticket may have
-- to go; and which tickets for several keys it could not serve, so that it need not look at all keys again.
local queued, stuck

-- Walks the tickets of living clients in order until \`visit\` returns something. Gone ones leave the queue,
-- suspect ones too from place 64 on: they come back to the same place once their client is heard of.
local function walk(queue, visit)
  local place = 0
  while true do
    local tickets = call('ZRANGE', queue, place, place + 15)
    if #tickets > 0 then queued = true end
    for _, ticket in ipairs(tickets) do
      local state = stateOf(sub(ticket, 1, 16))
      local alive = state and state >= 0
      local found = alive and visit(ticket)
      if found then return found end
      local stays = alive or (state and place < 64)
      if stays then place = place + 1 else drop(queue, ticket) end
    end
    if #tickets < 16 then return nil end
  end
end

local function first(queue) return walk(queue, function(ticket) return ticket end) end

-- The time, in microseconds, until which somebody reads; nil when nobody does.
local function readUntil(key)
  local ends = tonumber(call('ZRANGE', readersOf(key), -1, -1, 'WITHSCORES')[2])
  if not ends or ends > now then return ends end
  call('DEL', readersOf(key), numbersOf(key))
end

-- What the key holds, with an overdue reservation taken away; false when it is free. Whoever did not use its
-- reservation in time is passed over until it is heard of again, unless it has withdrawn its ticket.
local function valueOf(key)
  local value = get(key)
  if not value or sub(value, 1, 1) ~= '!' or tonumber(sub(value, 32)) > now then return value end
  local id = sub(value, 2, 17)
  call('DEL', key)
  local state = stateOf(id)
  if id ~= client and state and state >= 0 and call('ZSCORE', queueOf(key), sub(value, 2, 30)) then
    call('SET', prefix .. ':client:' .. id, -1 - state, 'XX', 'KEEPTTL')
    clients[id] = -1 - state
  end
  return false
end

local function share(key, base, number, untilUs)
  local readers, numbers = readersOf(key), numbersOf(key)
  -- One comes, two whose time is over go: else those that died would pile up beside others that read.
  for _, gone in ipairs(call('ZRANGEBYSCORE', readers, '-inf', now, 'LIMIT', 0, 2)) do
    call('ZREM', readers, gone)
    call('HDEL', numbers, gone)
  end
  untilUs = math.max(untilUs, tonumber(call('ZSCORE', readers, base) or 0))
  local before = call('HGET', numbers, base)
  if before and before > number then number = before end
  call('ZADD', readers, format('%.0f', untilUs), base)
  call('HSET', numbers, base, number)
  call('PEXPIRE', readers, leaseMsMax + 1000)
  call('PEXPIRE', numbers, leaseMsMax + 1000)
end

-- All readers at the head of the queue may come in at once, and whoever is after them is told so.
local function serveReaders(key, queue)
  local woken, most = {}, 0
  local after = walk(queue, function(ticket)
    if sub(ticket, 29) ~= 'r' then return ticket end
    woken[#woken + 1] = ticket
  end)
  for _, ticket in ipairs(woken) do
    drop(queue, ticket)
    if tell(ticket, 'w', key) then
      local ms = stateOf(sub(ticket, 1, 16))
      most = math.max(most, ms)
      share(key, sub(ticket, 1, 28), '00000000', now + ms * 1000)
    else
      forget(sub(ticket, 1, 16))
    end
  end
  if after and tells == '1' then tell(after, most, key) end
end

-- The keys that the ticket wants; nil when it is gone and could not be served.
local function wantedBy(ticket, key)
  if sub(ticket, 29) ~= 'm' then return { key } end
  local record = call('GET', recordOf(sub(ticket, 1, 28)))
  if not record then return nil end
  local wanted, from = {}, 1
  while from <= #record do
    local colon = string.find(record, ':', from, true)
    local length = tonumber(sub(record, from, colon - 1))
    wanted[#wanted + 1] = sub(record, colon + 1, colon + length)
    from = colon + length + 1
  end
  return wanted
end

-- Tells the next clients: each looks, one after the other, whether things went on. One may be dead as well.
-- One of the instances does so: messages to all others would be most of what a hand-over costs.
local function tellNext(queue, ticket, key, ms)
  local told, count, left = { [sub(ticket, 1, 16)] = true }, 0, 64
  walk(queue, function(candidate)
    local id = sub(candidate, 1, 16)
    if not told[id] and tell(candidate, (count + 1) * ms, key) then count = count + 1 end
    told[id], left = true, left - 1
    return left == 0 or count == 4
  end)
end

-- Hands a free key to the first in its queue. A ticket for several keys gets all of them or none; while
-- it cannot be served the key stays kept for it.
local function serve(key)
  local queue = queueOf(key)
  while true do
    local ticket = first(queue)
    if not ticket then
      -- Those that are left are suspect: nothing is kept for them, but when they go on they must know.
      local suspect = call('ZRANGE', queue, 0, 0)[1]
      return suspect and tell(suspect, 'w', key)
    end
    if stuck[ticket] then return end
    local kind = sub(ticket, 29)
    if kind == 'r' then return serveReaders(key, queue) end
    if kind == 'w' and readUntil(key) then return end
    local wanted = wantedBy(ticket, key)
    for _, other in ipairs(wanted or {}) do
      stuck[ticket] = other ~= key and (valueOf(other) or first(queueOf(other)) ~= ticket)
      if stuck[ticket] then return end
    end
    if wanted and tell(ticket, 'w', key) then
      local ms = stateOf(sub(ticket, 1, 16))
      local reservation = '!' .. ticket .. ' ' .. format('%.0f', now + ms * 1000)
      for _, each in ipairs(wanted) do call('SET', each, reservation, 'PX', ms + 1000) end
      return tells == '1' and tellNext(queue, ticket, key, ms)
    end
    if wanted then forget(sub(ticket, 1, 16)) end
    drop(queue, ticket)
  end
end

-- A reader waits for every writer before it, if that still listens; a newcomer for every writer.
local function writerBefore(queue, base)
  local found = walk(queue, function(ticket)
    if sub(ticket, 1, 28) == base then return ticket end
    local channel = prefix .. ':wake:' .. sub(ticket, 1, 16)
    return sub(ticket, 29) ~= 'r' and call('PUBSUB', 'NUMSUB', channel)[2] > 0 and ticket
  end)
  return found and sub(found, 1, 28) ~= base
end

-- True when the queue keeps the free key for somebody else.
local function isKept(queue, base, kind, barge)
  if kind == 'r' then return writerBefore(queue, base) end
  local head = first(queue)
  if not head or sub(head, 1, 28) == base then return false end
  return not (barge and tonumber(call('ZSCORE', queue, head)) > now - bargeMax)
end

-- What keeps \`base\` from the key: nil when nothing does, else { ms until it may change, foreign, free }.
local function obstacle(key, base, kind, barge)
  local value = get(key)
  -- Its own reservation also when it is overdue: nobody else has come.
  if value and (sub(value, 1, 28) == base or sub(value, 2, 29) == base) then
    queued = true
    return
  end
  value = value and valueOf(key)
  if value then
    if sub(value, 1, 1) == '!' then return { ms = math.ceil((tonumber(sub(value, 32)) - now) / 1000) } end
    local ms = call('PTTL', key)
    return { ms = ms < 0 and leaseMsMax or ms, foreign = not string.find(value .. ' ', ours) }
  end
  if kind == 'r' and tonumber(call('ZSCORE', readersOf(key), base) or 0) > now then return nil end
  if kind == 'w' then
    local ends = readUntil(key)
    if ends then return { ms = math.ceil((ends - now) / 1000) } end
  end
  return isKept(queueOf(key), base, kind, barge) and { ms = reserveMs, free = true } or nil
end

-- Files the ticket for each of the keys. False when one of their queues is full.
local function file(wanted, ticket, score)
  setAlive()
  if call('PTTL', mark) < ticketMs then call('SET', mark, '1', 'PX', ticketMs) end
  local record = {}
  for n, key in ipairs(wanted) do
    local queue = queueOf(key)
    local isNew = not call('ZSCORE', queue, ticket)
    if isNew and call('ZCARD', queue) >= waitersMax then return false end
    if isNew then call('ZADD', queue, score, ticket) end
    call('PEXPIRE', queue, ticketMs)
    record[n] = #key .. ':' .. key
  end
  if sub(ticket, 29) == 'm' then
    call('SET', recordOf(sub(ticket, 1, 28)), table.concat(record), 'PX', ticketMs)
  end
  return true
end

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

-- Takes away what \`base\` has under this number or a lower one. True when there was something.
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
-- \`mayTake\` is for an instance on which the hold never was: it joins where the key is free.
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
return table.concat(answers, '\\n')
`;

// boot-1.lua
export const boot1Source: string = `-- Changes the boot record, if it is still what the caller saw.
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
`;

// fenced-set-2.lua
export const fencedSet2Source: string = `-- Sets a value, unless a holder with a newer fencing token has set it before.
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
`;

// inspect-3.lua
export const inspect3Source: string = `-- One instance's view of a lock, all of one moment.
--
-- KEYS: 1 the lock key (string); 2 its queue (zset); 3 fence counters (hash).
-- ARGV: 1 the resource's counter.
-- Returns: { value or false, milliseconds left, tickets in the queue, the counter }.
-- Atomic: a value and the time it has left must be of the same holder.
local value = redis.call('GET', KEYS[1])
if value and string.sub(value, 1, 1) == '!' then value = false end
local counter = redis.call('HGET', KEYS[3], ARGV[1]) or '0'
return { value, redis.call('PTTL', KEYS[1]), redis.call('ZCARD', KEYS[2]), counter }
`;

// note-2.lua
export const note2Source: string = `-- Notes on an instance who the others are, so that none of them can come back empty and pass for new.
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
`;

// permits-1.lua
export const permits1Source: string = `-- How many permits a semaphore has: what was said first, for as long as anybody who means that uses it.
--
-- KEYS: 1 the number of permits (string).
-- ARGV: 1 the number that the caller means; 2 how long it is remembered from now, milliseconds.
-- Returns: the number that holds, an integer.
-- Atomic: two callers that mean different numbers must not both be told that theirs holds.
local known = tonumber(redis.call('GET', KEYS[1])) or tonumber(ARGV[1])
if known == tonumber(ARGV[1]) then redis.call('SET', KEYS[1], known, 'PX', ARGV[2]) end
return known
`;

// readmit-3.lua
export const readmit3Source: string = `-- Raises the fence counters of an instance, and makes it a member if so told.
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
`;

// regroup-3.lua
export const regroup3Source: string = `-- Hands an instance over to a group in which one instance took the place of another.
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
`;

// source-3.lua
export const source3Source: string = `-- What another instance must be told before it may vote again: counters, and who is known.
--
-- KEYS: 1 boot record (string); 2 fence counters (hash); 3 run ids of the other instances (hash).
-- ARGV: 1 the boot record as the client saw it.
-- Returns: false when the record is another one; else { fields and values of the counters, the same of who
--       is known }.
-- Atomic: counters count only if the instance had not lost its data when they were read.
local call = redis.call

if call('GET', KEYS[1]) ~= ARGV[1] then return false end
return { call('HGETALL', KEYS[2]), call('HGETALL', KEYS[3]) }
`;

// sweep-n.lua
export const sweepNSource: string = `-- Takes away locks that stand on an instance which nobody may hold there any more.
--
-- KEYS: 1 boot record (string); 2.. keys of locks and their readers (strings, zsets, hashes).
-- ARGV: 1 the boot record that is expected: one that abstains, after its wait.
-- Returns: 1 when they are gone, 0 when the record is another one, and then nothing was done.
-- Atomic: as soon as the instance is a member again, new locks may stand at the same keys.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
for at = 2, #KEYS do redis.call('DEL', KEYS[at]) end
return 1
`;
