/**
 * The parts of Lua's standard library that Redis gives to scripts and that ours use: base functions,
 * `string`, `table`, `math`. What is missing here does not exist for the script, and it hears so.
 */
import { formatLua } from "./format.ts";
import { findPattern, gmatch, gsub } from "./patterns.ts";
import {
  type LuaFunction, LuaError, LuaTable, type LuaValue, nextItem, nextPair, textOf, toNumber, typeName,
} from "./runtime.ts";

function text(value: LuaValue, name: string): string {
  const found = textOf(value);
  if (found === undefined) throw wrongType(name, "string", value);
  return found;
}

function number(value: LuaValue, name: string): number {
  const found = toNumber(value);
  if (found === undefined) throw wrongType(name, "number", value);
  return found;
}

function tableOf(value: LuaValue, name: string): LuaTable {
  if (value instanceof LuaTable) return value;
  throw wrongType(name, "table", value);
}

function wrongType(name: string, wanted: string, got: LuaValue): LuaError {
  return new LuaError(`bad argument to '${name}' (${wanted} expected, got ${typeName(got)})`);
}

function sub(value: LuaValue, from: LuaValue, to: LuaValue = -1): readonly LuaValue[] {
  const all = text(value, "sub");
  const [first, last] = [number(from, "sub"), number(to, "sub")];
  const start = first < 0 ? Math.max(0, all.length + first) : Math.max(0, first - 1);
  const end = last < 0 ? all.length + last + 1 : last;
  return [start < end ? all.slice(start, end) : ""];
}

const strings: Readonly<Record<string, LuaFunction>> = {
  sub,
  len: (value) => [text(value, "len").length],
  lower: (value) => [text(value, "lower").replaceAll(/[A-Z]/g, (char) => char.toLowerCase())],
  upper: (value) => [text(value, "upper").replaceAll(/[a-z]/g, (char) => char.toUpperCase())],
  rep: (value, times) => [text(value, "rep").repeat(Math.max(0, number(times, "rep")))],
  reverse: (value) => [Array.from(text(value, "reverse")).toReversed().join("")],
  byte: (value, from = 1, to = from) =>
    Array.from(sub(value, from, to)[0] as string, (char) => char.charCodeAt(0)),
  char: (...codes) => [String.fromCharCode(...codes.map((code) => number(code, "char")))],
  format: (pattern, ...values) => [formatLua(text(pattern, "format"), values)],
  find: (value, pattern, start = 1, plain) =>
    findPattern(text(value, "find"), text(pattern, "find"), number(start, "find"), plain === true, true),
  match: (value, pattern, start = 1) =>
    findPattern(text(value, "match"), text(pattern, "match"), number(start, "match"), false, false),
  gmatch: (value, pattern) => [gmatch(text(value, "gmatch"), text(pattern, "gmatch"))],
  gsub: (value, pattern, by, max) => gsub(text(value, "gsub"), text(pattern, "gsub"), by, max),
};

const tables: Readonly<Record<string, LuaFunction>> = {
  concat: (table, separator = "", from = 1, to = tableOf(table, "concat").list.length) => {
    const { list } = table as LuaTable;
    const chosen = list.slice(number(from, "concat") - 1, number(to, "concat"));
    return [chosen.map((item) => text(item, "concat")).join(text(separator, "concat"))];
  },
  insert: (table, ...rest) => {
    const into = tableOf(table, "insert");
    if (rest.length < 2) into.set(into.list.length + 1, rest[0]);
    else into.list.splice(number(rest[0], "insert") - 1, 0, rest[1]);
    return [];
  },
  remove: (table, at) => {
    const { list } = tableOf(table, "remove");
    return [at === undefined ? list.pop() : list.splice(number(at, "remove") - 1, 1)[0]];
  },
  sort: (table, order) => {
    const before = (a: LuaValue, b: LuaValue): boolean =>
      typeof order === "function" ? isTrue(order(a, b)[0]) : (a as number) < (b as number);
    tableOf(table, "sort").list.sort((a, b) => (before(a, b) ? -1 : before(b, a) ? 1 : 0));
    return [];
  },
};

const numeric = (name: string, of: (...values: number[]) => number): LuaFunction => {
  return (...values) => [of(...values.map((value) => number(value, name)))];
};

const maths: Readonly<Record<string, LuaFunction>> = {
  floor: numeric("floor", Math.floor),
  ceil: numeric("ceil", Math.ceil),
  abs: numeric("abs", Math.abs),
  max: numeric("max", Math.max),
  min: numeric("min", Math.min),
  fmod: numeric("fmod", (a, b) => a % b),
};

const unpack: LuaFunction = (table, from = 1, to = tableOf(table, "unpack").list.length) => {
  const values: LuaValue[] = [];
  for (let at = from as number; at <= (to as number); at += 1) values.push((table as LuaTable).get(at));
  return values;
};

function isTrue(value: LuaValue): boolean {
  return value !== undefined && value !== false;
}

const base: Readonly<Record<string, LuaFunction>> = {
  unpack,
  pairs: (table) => [nextPair, tableOf(table, "pairs"), undefined],
  ipairs: (table) => [nextItem, tableOf(table, "ipairs"), 0],
  type: (value) => [typeName(value)],
  tostring: (value) => [textOf(value) ?? (typeof value === "boolean" ? String(value) : typeName(value))],
  tonumber: (value, radix) => {
    if (radix === undefined || radix === 10) return [toNumber(value)];
    const parsed = Number.parseInt(text(value, "tonumber"), number(radix, "tonumber"));
    return [Number.isNaN(parsed) ? undefined : parsed];
  },
  select: (which, ...values) =>
    which === "#" ? [values.length] : values.slice(number(which, "select") - 1),
  error: (value) => {
    throw new LuaError(value);
  },
  assert: (...values) => {
    if (!isTrue(values[0])) throw new LuaError(values[1] ?? "assertion failed!");
    return values;
  },
  pcall: (body, ...values) => {
    try {
      return [true, ...(body as LuaFunction)(...values)];
    } catch (error) {
      if (!(error instanceof LuaError)) throw error;
      return [false, error.value];
    }
  },
};

export function tableFrom(members: Readonly<Record<string, LuaValue>>): LuaTable {
  const table = new LuaTable();
  for (const [name, member] of Object.entries(members)) table.set(name, member);
  return table;
}

export const stringLibrary: LuaTable = tableFrom(strings);

/** Every global name of a script but `redis`, `KEYS` and `ARGV`. */
export const LIBRARY: Readonly<Record<string, LuaValue>> = {
  ...base,
  string: stringLibrary,
  table: tableFrom({ ...tables, unpack }),
  math: tableFrom({ ...maths, huge: Number.POSITIVE_INFINITY, pi: Math.PI }),
};
