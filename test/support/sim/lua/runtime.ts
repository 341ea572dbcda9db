/**
 * What compiled Lua runs on: values, tables, operators. Its one idea: Lua 5.1 has one kind of number, the
 * double, and so has JavaScript; nil is `undefined`, and a string is one byte a character ("binary"), so
 * that lengths and comparisons are Redis'. A Lua function takes its arguments and returns a list.
 * It must never guess: what Lua would refuse is a LuaError, what we do not have is one too.
 */

export type LuaValue = undefined | boolean | number | string | LuaTable | LuaFunction;
export type LuaFunction = (...args: LuaValue[]) => readonly LuaValue[];

/** What `error` raised, or what Lua itself did; `value` is what `pcall` gives. */
export class LuaError extends Error {
  readonly value: LuaValue;

  constructor(value: LuaValue) {
    super(value instanceof LuaTable ? (textOf(value.get("err")) ?? "a table") : textOf(value));
    this.value = value;
  }
}

/** A list from 1 without gaps at its end, and a map for all other keys. */
export class LuaTable {
  readonly list: LuaValue[];
  readonly map = new Map<LuaValue, LuaValue>();

  constructor(list: readonly LuaValue[] = []) {
    this.list = [...list];
    this.#trim();
  }

  get(key: LuaValue): LuaValue {
    if (typeof key === "number" && key >= 1 && key <= this.list.length && Number.isInteger(key)) {
      return this.list[key - 1];
    }
    return this.map.get(key);
  }

  set(key: LuaValue, value: LuaValue): void {
    if (key === undefined) throw new LuaError("index is nil");
    const { list, map } = this;
    if (typeof key === "number" && key >= 1 && key <= list.length + 1 && Number.isInteger(key)) {
      if (key <= list.length) {
        list[key - 1] = value;
        if (value === undefined) this.#trim();
        return;
      }
      if (value === undefined) return;
      map.delete(key);
      list.push(value);
      this.#join();
      return;
    }
    if (value === undefined) map.delete(key);
    else map.set(key, value);
  }

  /** All pairs, the list first; what is taken away meanwhile is left out. */
  *pairs(): Generator<readonly [LuaValue, LuaValue]> {
    for (let at = 0; at < this.list.length; at += 1) {
      const value = this.list[at];
      if (value !== undefined) yield [at + 1, value];
    }
    yield* this.map;
  }

  #join(): void {
    const { list, map } = this;
    while (map.size > 0 && map.has(list.length + 1)) {
      const key = list.length + 1;
      list.push(map.get(key));
      map.delete(key);
    }
  }

  #trim(): void {
    while (this.list.length > 0 && this.list.at(-1) === undefined) this.list.pop();
  }
}

export function typeName(value: LuaValue): string {
  if (value === undefined) return "nil";
  if (value instanceof LuaTable) return "table";
  return typeof value;
}

const NUMBER = /^\s*[-+]?(?:0[xX][0-9a-fA-F]+|(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*$/;

/** `tonumber` of one argument: undefined where Lua says nil. */
export function toNumber(value: LuaValue): number | undefined {
  if (typeof value === "number") return value;
  if (typeof value !== "string") return undefined;
  if (!NUMBER.test(value)) return undefined;
  const text = value.trim();
  return text.startsWith("-0x") || text.startsWith("-0X") ? -Number(text.slice(1)) : Number(text);
}

/** A number in C's `%.<digits>g`. */
export function toGeneral(value: number, digits: number): string {
  if (Number.isInteger(value) && Math.abs(value) < 10 ** Math.min(digits, 15)) {
    return Object.is(value, -0) ? "-0" : String(value);
  }
  if (!Number.isFinite(value)) return Number.isNaN(value) ? "nan" : value > 0 ? "inf" : "-inf";
  const [mantissa = "", exponent = "0"] = value.toExponential(Math.max(0, digits - 1)).split("e");
  const power = Number(exponent);
  if (power < -4 || power >= digits) {
    const sign = power < 0 ? "-" : "+";
    return `${withoutZeros(mantissa)}e${sign}${String(Math.abs(power)).padStart(2, "0")}`;
  }
  return withoutZeros(value.toFixed(Math.max(0, digits - 1 - power)));
}

/** A number in the form that Lua 5.1 prints and joins: 14 digits and no more. */
function numberText(value: number): string {
  return toGeneral(value, 14);
}

/** Text of a string or number; undefined for everything else. */
export function textOf(value: LuaValue): string | undefined {
  if (typeof value === "string") return value;
  return typeof value === "number" ? numberText(value) : undefined;
}

function withoutZeros(digits: string): string {
  return digits.includes(".") ? digits.replace(/\.?0+$/, "") : digits;
}

function operand(value: LuaValue): number {
  const number = toNumber(value);
  if (number === undefined) throw new LuaError(`attempt to perform arithmetic on a ${typeName(value)} value`);
  return number;
}

function modulo(a: number, b: number): number {
  return a - Math.floor(a / b) * b;
}

const isNumbers = (a: LuaValue, b: LuaValue): a is number => typeof a === "number" && typeof b === "number";

function less(a: LuaValue, b: LuaValue): boolean {
  if (isNumbers(a, b)) return a < (b as number);
  if (typeof a === "string" && typeof b === "string") return a < b;
  throw new LuaError(`attempt to compare ${typeName(a)} with ${typeName(b)}`);
}

function lessOrEqual(a: LuaValue, b: LuaValue): boolean {
  if (isNumbers(a, b)) return a <= (b as number);
  if (typeof a === "string" && typeof b === "string") return a <= b;
  throw new LuaError(`attempt to compare ${typeName(a)} with ${typeName(b)}`);
}

function concat(a: LuaValue, b: LuaValue): string {
  if (typeof a === "string" && typeof b === "string") return a + b;
  const [left, right] = [textOf(a), textOf(b)];
  if (left === undefined || right === undefined) {
    throw new LuaError(`attempt to concatenate a ${typeName(left === undefined ? a : b)} value`);
  }
  return left + right;
}

function callee(value: LuaValue, what: string): LuaFunction {
  if (typeof value === "function") return value;
  throw new LuaError(`attempt to call ${what} (a ${typeName(value)} value)`);
}

function store(target: LuaValue, key: LuaValue, value: LuaValue): void {
  if (!(target instanceof LuaTable)) {
    throw new LuaError(`attempt to index a ${typeName(target)} value`);
  }
  target.set(key, value);
}

/** The names that compiled code calls. `stringLibrary` is where a method of a string is found. */
export function operators(stringLibrary: LuaTable): Record<string, unknown> {
  const index = (target: LuaValue, key: LuaValue): LuaValue => {
    if (target instanceof LuaTable) return target.get(key);
    if (typeof target === "string") return stringLibrary.get(key);
    throw new LuaError(`attempt to index a ${typeName(target)} value (key ${textOf(key) ?? typeName(key)})`);
  };
  return {
    truthy: (value: LuaValue) => value !== undefined && value !== false,
    add: (a: LuaValue, b: LuaValue) => (isNumbers(a, b) ? a + (b as number) : operand(a) + operand(b)),
    sub: (a: LuaValue, b: LuaValue) => (isNumbers(a, b) ? a - (b as number) : operand(a) - operand(b)),
    mul: (a: LuaValue, b: LuaValue) => (isNumbers(a, b) ? a * (b as number) : operand(a) * operand(b)),
    div: (a: LuaValue, b: LuaValue) => operand(a) / operand(b),
    mod: (a: LuaValue, b: LuaValue) => modulo(operand(a), operand(b)),
    pow: (a: LuaValue, b: LuaValue) => operand(a) ** operand(b),
    negate: (a: LuaValue) => -operand(a),
    concat,
    less,
    lessOrEqual,
    length: (value: LuaValue) => {
      if (typeof value === "string") return value.length;
      if (value instanceof LuaTable) return value.list.length;
      throw new LuaError(`attempt to get length of a ${typeName(value)} value`);
    },
    index,
    store,
    callee,
    count: (value: LuaValue, what: string) => {
      const number = toNumber(value);
      if (number === undefined) throw new LuaError(`'for' ${what} must be a number`);
      return number;
    },
    loop,
    table: (entries: readonly (readonly [LuaValue, LuaValue])[], list: readonly LuaValue[]) => {
      const table = new LuaTable(list);
      for (const [key, value] of entries) table.set(key, value);
      return table;
    },
    unknown: (name: string): never => {
      throw new LuaError(`Script attempted to access nonexistent global variable '${name}'`);
    },
    LuaTable,
    NONE: [] as readonly LuaValue[],
  };
}

/** The two iterators that `for` knows by sight; called by hand, they would be slow. */
export const nextPair: LuaFunction = () => {
  throw new LuaError("next is only had in a for loop here");
};
export const nextItem: LuaFunction = (table, at) => {
  const key = (at as number) + 1;
  const value = (table as LuaTable).get(key);
  return value === undefined ? [] : [key, value];
};

function* loop(triple: readonly LuaValue[]): Generator<readonly LuaValue[]> {
  const [iterator, state, start] = triple;
  if (iterator === nextPair) {
    yield* (state as LuaTable).pairs();
    return;
  }
  const step = callee(iterator, "the iterator of a for loop");
  for (let control = start; ; ) {
    const values = step(state, control);
    control = values[0];
    if (control === undefined) return;
    yield values;
  }
}
