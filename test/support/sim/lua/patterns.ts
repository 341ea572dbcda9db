/**
 * Lua's patterns, matched as Lua's manual describes them (5.4.1): classes, sets, repetitions, captures,
 * anchors and back references. Subjects are bytes, one a character.
 */
import { LuaError, type LuaFunction, LuaTable, type LuaValue, textOf } from "./runtime.ts";

interface Capture {
  readonly start: number;
  /** -1 open, -2 a position. */
  length: number;
}

const CLASSES: Readonly<Record<string, RegExp>> = {
  a: /[A-Za-z]/, d: /\d/, l: /[a-z]/, p: /[!-/:-@[-`{-~]/, s: /[ \t-\r]/, u: /[A-Z]/, w: /[A-Za-z0-9]/,
  x: /[A-Fa-f0-9]/,
};

class Matcher {
  readonly #subject: string;
  readonly #pattern: string;
  captures: Capture[] = [];

  constructor(subject: string, pattern: string) {
    this.#subject = subject;
    this.#pattern = pattern;
  }

  /** Where the match that starts at `s` ends; -1 when there is none. */
  match(s: number, p: number): number {
    if (p === this.#pattern.length) return s;
    switch (this.#pattern.charAt(p)) {
      case "(":
        return this.#open(s, p);
      case ")":
        return this.#close(s, p + 1);
      case "$":
        if (p + 1 === this.#pattern.length) return s === this.#subject.length ? s : -1;
        break;
      case "%": {
        const next = this.#pattern[p + 1] ?? "";
        if (next === "b" || next === "f") throw new LuaError(`%${next} is not had here`);
        if (next >= "0" && next <= "9") return this.#again(s, p, Number(next) - 1);
        break;
      }
      default:
    }
    return this.#repeated(s, p);
  }

  value(at: number, start: number, end: number): LuaValue {
    const capture = this.captures[at];
    if (capture === undefined) return this.#subject.slice(start, end);
    if (capture.length === -1) throw new LuaError("unfinished capture");
    return capture.length === -2
      ? capture.start + 1
      : this.#subject.slice(capture.start, capture.start + capture.length);
  }

  values(start: number, end: number, whole: boolean): LuaValue[] {
    const count = this.captures.length === 0 && whole ? 1 : this.captures.length;
    return Array.from({ length: count }, (_, at) => this.value(at, start, end));
  }

  #open(s: number, p: number): number {
    const isPosition = this.#pattern[p + 1] === ")";
    this.captures.push({ start: s, length: isPosition ? -2 : -1 });
    const end = this.match(s, p + (isPosition ? 2 : 1));
    if (end < 0) this.captures.pop();
    return end;
  }

  #close(s: number, p: number): number {
    const capture = this.captures.findLast(({ length }) => length === -1);
    if (capture === undefined) throw new LuaError("invalid pattern capture");
    capture.length = s - capture.start;
    const end = this.match(s, p);
    if (end < 0) capture.length = -1;
    return end;
  }

  #again(s: number, p: number, at: number): number {
    const captured = this.value(at, s, s) as string;
    return this.#subject.startsWith(captured, s) ? this.match(s + captured.length, p + 2) : -1;
  }

  #repeated(s: number, p: number): number {
    const next = this.#classEnd(p);
    const isMatch = (at: number): boolean => at < this.#subject.length && this.#single(at, p, next);
    switch (this.#pattern.charAt(next)) {
      case "?": {
        const end = isMatch(s) ? this.match(s + 1, next + 1) : -1;
        return end >= 0 ? end : this.match(s, next + 1);
      }
      case "+":
      case "*": {
        let last = s;
        while (isMatch(last)) last += 1;
        for (const first = this.#pattern[next] === "+" ? s + 1 : s; last >= first; last -= 1) {
          const end = this.match(last, next + 1);
          if (end >= 0) return end;
        }
        return -1;
      }
      case "-":
        for (let at = s; ; at += 1) {
          const end = this.match(at, next + 1);
          if (end >= 0) return end;
          if (!isMatch(at)) return -1;
        }
      default:
        return isMatch(s) ? this.match(s + 1, next) : -1;
    }
  }

  #classEnd(p: number): number {
    const char = this.#pattern[p];
    if (char === "%") {
      if (p + 1 >= this.#pattern.length) throw new LuaError("malformed pattern (ends with '%')");
      return p + 2;
    }
    if (char !== "[") return p + 1;
    let at = p + (this.#pattern[p + 1] === "^" ? 2 : 1);
    do {
      if (at >= this.#pattern.length) throw new LuaError("malformed pattern (missing ']')");
      at += this.#pattern[at] === "%" ? 2 : 1;
    } while (this.#pattern[at] !== "]");
    return at + 1;
  }

  #single(s: number, p: number, end: number): boolean {
    const char = this.#subject[s] as string;
    switch (this.#pattern.charAt(p)) {
      case ".":
        return true;
      case "%":
        return isOfClass(char, this.#pattern[p + 1] as string);
      case "[":
        return this.#inSet(char, p + 1, end - 1);
      default:
        return this.#pattern[p] === char;
    }
  }

  #inSet(char: string, from: number, end: number): boolean {
    const isNegated = this.#pattern[from] === "^";
    for (let at = isNegated ? from + 1 : from; at < end; at += 1) {
      const item = this.#pattern[at] as string;
      if (item === "%") {
        at += 1;
        if (isOfClass(char, this.#pattern[at] as string)) return !isNegated;
      } else if (this.#pattern[at + 1] === "-" && at + 2 < end) {
        if (item <= char && char <= (this.#pattern[at + 2] as string)) return !isNegated;
        at += 2;
      } else if (item === char) {
        return !isNegated;
      }
    }
    return isNegated;
  }
}

function isOfClass(char: string, letter: string): boolean {
  const known = CLASSES[letter.toLowerCase()];
  if (known === undefined) return letter === char;
  return known.test(char) === (letter === letter.toLowerCase());
}

interface Found {
  readonly start: number;
  readonly end: number;
  readonly matcher: Matcher;
}

function firstMatch(subject: string, pattern: string, from: number): Found | undefined {
  const isAnchored = pattern.startsWith("^");
  for (let start = from; start <= subject.length; start += 1) {
    const matcher = new Matcher(subject, pattern);
    const end = matcher.match(start, isAnchored ? 1 : 0);
    if (end >= 0) return { start, end, matcher };
    if (isAnchored) return undefined;
  }
  return undefined;
}

/** `string.find` when `withPlace`, else `string.match`. */
export function findPattern(
  subject: string,
  pattern: string,
  start: number,
  plain: boolean,
  withPlace: boolean,
): readonly LuaValue[] {
  const from = Math.max(0, start < 0 ? subject.length + start : start - 1);
  if (from > subject.length) return [undefined];
  if (plain) {
    const at = subject.indexOf(pattern, from);
    return at < 0 ? [undefined] : [at + 1, at + pattern.length];
  }
  const found = firstMatch(subject, pattern, from);
  if (found === undefined) return [undefined];
  const captures = found.matcher.values(found.start, found.end, !withPlace);
  return withPlace ? [found.start + 1, found.end, ...captures] : captures;
}

export function gmatch(subject: string, pattern: string): LuaFunction {
  let from = 0;
  return () => {
    const found = from > subject.length ? undefined : firstMatch(subject, pattern, from);
    if (found === undefined) return [];
    from = found.end === found.start ? found.end + 1 : found.end;
    return found.matcher.values(found.start, found.end, true);
  };
}

export function gsub(subject: string, pattern: string, by: LuaValue, max: LuaValue): readonly LuaValue[] {
  const limit = typeof max === "number" ? max : Number.POSITIVE_INFINITY;
  let [result, from, count] = ["", 0, 0];
  while (count < limit) {
    const found = firstMatch(subject, pattern, from);
    if (found === undefined || (pattern.startsWith("^") && found.start !== from)) break;
    count += 1;
    result += subject.slice(from, found.start) + replacement(found, subject, by);
    from = found.end;
    if (found.end === found.start) {
      result += subject[from] ?? "";
      from += 1;
    }
    if (from > subject.length || pattern.startsWith("^")) break;
  }
  return [result + subject.slice(from), count];
}

function replacement({ matcher, start, end }: Found, subject: string, by: LuaValue): string {
  const whole = subject.slice(start, end);
  let value: LuaValue;
  if (by instanceof LuaTable) value = by.get(matcher.value(0, start, end));
  else if (typeof by === "function") value = by(...matcher.values(start, end, true))[0];
  else {
    return (textOf(by) ?? "").replaceAll(/%(.)/gs, (_, char: string) => {
      if (char === "0") return whole;
      return char >= "1" && char <= "9" ? (textOf(matcher.value(Number(char) - 1, start, end)) ?? "") : char;
    });
  }
  return value === undefined || value === false ? whole : (textOf(value) ?? "");
}
