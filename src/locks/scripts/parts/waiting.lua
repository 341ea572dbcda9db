-- Who waits for which key, and whom a key goes to when it is free: the middle of `batch-n.lua`, which says
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

-- Walks the tickets of living clients in order until `visit` returns something. Gone ones leave the queue,
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

-- What keeps `base` from the key: nil when nothing does, else { ms until it may change, foreign, free }.
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
