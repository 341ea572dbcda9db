/**
 * Lua of every construct that our scripts use, each a script of its own that a real server runs too.
 * Its key is `key`, its arguments are `arg` and `ü`.
 */
export const LUA_CASES: readonly string[] = [
  "return {1, 2.9, 'x', true, false, 5}",
  "local a, b = 1, 2; a, b = b, a; return {a, b, a == b, not a}",
  `return string.format('%.0f %d %5s|%-4d|%x %+d %.2f %g', 1767225600000123,
   3.7, 'a', 3, 255, 5, 1.005, 1e20)`,
  "return 1767225600000123 .. ' ' .. 0.1 .. ' ' .. 100 .. ' ' .. 2^53 .. ' ' .. -0.5 .. ' ' .. 1e100",
  "local o = {} for k, v in string.gmatch('a=1,b=22', '(%w+)=(%w+)') do o[#o + 1] = k .. v end return o",
  `return {string.find('hello world', 'o w'), string.find('a.b',
   '.', 1, true), string.find('aab', 'b', -1)}`,
  `return {string.match('1 30000 x', '^%d+ (%d+)'), string.match('key',
   '()e()'), string.gsub('abc', '%w', '<%0>')}`,
  `return {('abc'):sub(-2), ('abc'):sub(2, 2), ('abc'):byte(1,
   -1), ('x'):rep(3), #'grüße', ('aB'):upper()}`,
  `local i = 0 repeat local j = i i = i + 1 until j >= 3
   while true do i = i + 1 if i > 9 then break end end return i`,
  "local s = '' for n = 10, 1, -3 do s = s .. n .. ',' end for n = 1, 0 do s = 'never' end return s",
  `local t = {1, 2, 3, x = 4} table.insert(t, 5) table.remove(t, 1) local n = 0
   for _ in pairs(t) do n = n + 1 end return n .. #t`,
  `local t = {3, 1, 2} table.sort(t) local u = {'b', 'a'} table.sort(u, function(a, b)
   return a > b end) return {t, u}`,
  `local function f(...) return select('#', ...), ... end local t = {f(1, nil, 3)}
   return {t[1], t[2], t[4]}`,
  `return {7 % 3, -7 % 3, 2 ^ 3 ^ 2, -2 ^ 2, '10' + 5, 7 / 2
   * 2, math.floor(-1.5), math.ceil(1.2), math.max(1, 3)}`,
  `return {tonumber('0x10'), tonumber(' 12 '), tonumber('1e3'),
   tonumber('z', 36), tostring(nil), tostring(12)}`,
  `local ok, e = pcall(redis.call, 'HGET', 'string', 'f') redis.call('SET', 'string', 'v')
   return {ok and 1 or 0}`,
  "redis.call('SET', 'string', 'v') return redis.call('HGET', 'string', 'f')",
  "redis.call('SET', 'string', 'v') return redis.pcall('HGET', 'string', 'f')",
  "return redis.call('SET', 'n', 1767225600000123) and redis.call('GET', 'n')",
  `redis.call('SET', 'n', 0.1) redis.call('ZADD', 'q', 1767225600000123, 'm')
   return {redis.call('GET', 'n'), redis.call('ZSCORE', 'q', 'm')}`,
  "return {redis.call('GET', 'absent') == false, redis.call('HGETALL', 'absent'), redis.call('PING')}",
  "return redis.error_reply('MINE is this')",
  "return redis.status_reply('FINE')",
  "local x = nil return x.y",
  "return 'a' < 1",
  "return nosuchglobal",
  "error('by hand')",
  "return {KEYS[1], ARGV[1], #ARGV, #KEYS, ARGV[3] == nil}",
  "return 1 and nil or 'or', 'second'",
  "return {(unpack({1, 2, 3})), unpack({4, 5})}",
  "return table.concat({1, 2.5, 'x'}, '-') .. table.concat({}, ',')",
];
