/**
 * Redis scripts over compiled Lua: `redis.call`, KEYS, ARGV, and how values change between the two worlds.
 * Its one idea: a text is compiled once in a process, however many simulated servers run it.
 * All strings are bytes, one a character; who calls turns text into bytes and back.
 */
import { compileFunction } from "node:vm";

import { compileLua, globalName } from "./compile.ts";
import { LIBRARY, stringLibrary, tableFrom } from "./library.ts";
import { LuaError, LuaTable, type LuaValue, operators, toGeneral, typeName } from "./runtime.ts";

/** A reply of "+": not the same as a string for a script. */
export class StatusReply {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

/** A reply of "-". */
export class ErrorReply {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

export type RawReply = string | number | null | StatusReply | ErrorReply | readonly RawReply[];

/** What `redis.call` does: name and arguments to a reply. */
export type RawCall = (words: readonly string[]) => RawReply;

type Compiled = (redis: LuaTable, keys: LuaTable, args: LuaTable) => readonly LuaValue[];

const GIVEN = ["redis", "KEYS", "ARGV"];
const OPERATORS = operators(stringLibrary);
const compiled = new Map<string, Compiled>();

/** The table `redis` of scripts that run on one server. */
export function redisTable(call: RawCall): LuaTable {
  const words = (values: readonly LuaValue[]): string[] =>
    values.map((value) => {
      if (typeof value === "string") return value;
      if (typeof value === "number") return toGeneral(value, 17);
      throw new LuaError("ERR Lua redis lib command arguments must be strings or integers");
    });
  const errorTable = (text: LuaValue): LuaTable => tableFrom({ err: text });
  return tableFrom({
    call: (...values) => {
      const reply = call(words(values));
      if (reply instanceof ErrorReply) throw new LuaError(errorTable(reply.text));
      return [toLua(reply)];
    },
    pcall: (...values) => {
      const reply = call(words(values));
      return [reply instanceof ErrorReply ? errorTable(reply.text) : toLua(reply)];
    },
    error_reply: (text) => [errorTable(text)],
    status_reply: (text) => [tableFrom({ ok: text })],
  });
}

/** Runs the script; what it raises becomes an error reply, as with Redis. */
export function runScript(
  script: { readonly name: string; readonly source: string },
  redis: LuaTable,
  keys: readonly string[],
  args: readonly string[],
): RawReply {
  let run = compiled.get(script.source);
  if (run === undefined) {
    run = compile(script);
    compiled.set(script.source, run);
  }
  try {
    return toReply(run(redis, new LuaTable(keys), new LuaTable(args))[0]);
  } catch (error) {
    if (!(error instanceof LuaError)) throw error;
    if (error.value instanceof LuaTable) return toReply(error.value);
    const place = new RegExp(`${script.name}\\.lua:(\\d+)`).exec(error.stack ?? "")?.[1] ?? "?";
    return new ErrorReply(`ERR user_script:${place}: ${error.message} script: ${script.name}`);
  }
}

function compile({ name, source }: { readonly name: string; readonly source: string }): Compiled {
  const globals = Object.keys(LIBRARY);
  const body = compileLua(source, [...GIVEN, ...globals]);
  const parameters = [...GIVEN, ...globals].map(globalName);
  const whole = compileFunction(body, [...Object.keys(OPERATORS), ...parameters], {
    filename: `${name}.lua`,
  }) as (...all: unknown[]) => readonly LuaValue[];
  const [own, library] = [Object.values(OPERATORS), Object.values(LIBRARY)];
  return (redis, keys, args) => whole(...own, redis, keys, args, ...library);
}

function toLua(reply: RawReply): LuaValue {
  if (reply === null) return false;
  if (reply instanceof StatusReply) return tableFrom({ ok: reply.text });
  if (reply instanceof ErrorReply) return tableFrom({ err: reply.text });
  return typeof reply === "object" ? new LuaTable(reply.map(toLua)) : reply;
}

function toReply(value: LuaValue): RawReply {
  if (value === undefined || value === false) return null;
  if (value === true) return 1;
  if (typeof value === "number") return Math.trunc(value);
  if (typeof value === "string") return value;
  if (!(value instanceof LuaTable)) throw new Error(`a script returned a ${typeName(value)}`);
  const [err, ok] = [value.get("err"), value.get("ok")];
  if (typeof err === "string") return new ErrorReply(err);
  if (typeof ok === "string") return new StatusReply(ok);
  const end = value.list.indexOf(undefined);
  return (end < 0 ? value.list : value.list.slice(0, end)).map(toReply);
}
