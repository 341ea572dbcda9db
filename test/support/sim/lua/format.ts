/** `string.format` of Lua 5.1, which is C's printf without `*`, `n` and lengths. */
import { LuaError, type LuaValue, textOf, toGeneral, toNumber, typeName } from "./runtime.ts";

const DIRECTIVE = /%([-+ #0]*)(\d*)(?:\.(\d*))?([a-zA-Z%])/g;

export function formatLua(pattern: string, values: readonly LuaValue[]): string {
  const [first] = values;
  // By far the most frequent, and all that our scripts do with numbers.
  if (pattern === "%.0f" && typeof first === "number" && Number.isSafeInteger(first)) return String(first);
  let at = 0;
  return pattern.replaceAll(DIRECTIVE, (_, flags: string, width: string, precision?: string, kind = "") => {
    if (kind === "%") return "%";
    const value = values[at];
    at += 1;
    if (value === undefined) throw new LuaError(`bad argument #${at + 1} to 'format' (no value)`);
    const digits = precision === undefined ? undefined : Number(precision);
    return pad(directive(kind as string, value, digits, flags), flags, Number(width));
  });
}

function directive(kind: string, value: LuaValue, digits: number | undefined, flags: string): string {
  if (kind === "s") {
    const text = textOf(value) ?? typeName(value);
    return digits === undefined ? text : text.slice(0, digits);
  }
  const number = toNumber(value);
  if (number === undefined) throw new LuaError("bad argument to 'format' (number expected)");
  const signed = (text: string): string => (flags.includes("+") && number >= 0 ? `+${text}` : text);
  switch (kind) {
    case "d":
    case "i":
    case "u":
      return signed(BigInt(Math.trunc(number)).toString().padStart(digits ?? 0, "0"));
    case "x":
      return BigInt(Math.trunc(number)).toString(16).padStart(digits ?? 0, "0");
    case "X":
      return BigInt(Math.trunc(number)).toString(16).toUpperCase().padStart(digits ?? 0, "0");
    case "c":
      return String.fromCharCode(number);
    case "f":
      return signed(toFixed(number, digits ?? 6));
    case "g":
      return signed(toGeneral(number, digits ?? 6));
    default:
      throw new LuaError(`invalid option '%${kind}' to 'format'`);
  }
}

/** JavaScript rounds a half up, C to the even neighbour. */
function toFixed(number: number, digits: number): string {
  if (digits > 0) return number.toFixed(digits);
  const floor = Math.floor(number);
  const isHalf = number - floor === 0.5;
  const rounded = isHalf ? floor + (Math.abs(floor) % 2) : Math.round(number);
  return Object.is(rounded, -0) ? "-0" : BigInt(rounded).toString();
}

function pad(text: string, flags: string, width: number): string {
  if (flags.includes("-")) return text.padEnd(width);
  if (!flags.includes("0")) return text.padStart(width);
  const sign = /^[-+]/.exec(text)?.[0] ?? "";
  return sign + text.slice(sign.length).padStart(width - sign.length, "0");
}
