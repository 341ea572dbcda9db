/**
 * Random calls of the batch script, in the form in which the exchange makes them: few holders, few keys,
 * all ops. What comes out means nothing; it is for comparing two servers that get the same.
 */
import fc from "fast-check";

export interface BatchCall {
  readonly keys: readonly string[];
  /** After the boot record, the prefix and the time of sending. */
  readonly args: readonly string[];
}

interface Op {
  readonly fields: readonly string[];
  readonly keys: readonly string[];
  readonly isShort: boolean;
}

/** Two clients that listen and one that does not, with two attempts each. */
const CLIENTS = ["a", "b", "c"].map((letter) => letter.repeat(16));
const base = fc.constantFrom(...CLIENTS.flatMap((id) => [`${id}000000000001`, `${id}000000000002`]));
const number = fc.constantFrom("00000001", "00000002", "0000000f");
const kind = fc.constantFrom("x", "x", "x", "w", "r");
const info = fc.constantFrom("", ' {"host":"h"}');
const leaseMs = fc.constantFrom("20000", "25000", "60000");
const deadlineMs = fc.constantFrom("60000", "60000", "60000", "-60000");
const lockKey = fc.constantFrom("P:lock:k", "P:lock:ü");
/** Few enough to meet often, and enough for several different ones in a call. */
const shortKey = fc.constantFrom("P:lock:k", "P:lock:ü", "P:lock:l", "P:lock:m");
const lockKeys = fc.oneof(
  { weight: 4, arbitrary: lockKey.map((key) => [key]) },
  { weight: 1, arbitrary: fc.constant(["P:lock:k", "P:lock:ü"]) },
);
/** Below every clock, above every clock. */
const token = fc.constantFrom("5", "1000", "1500000000000000", "8000000000000000");
const score = fc.constantFrom("0", "1500000000000001", "1500000000000002", "1500000000000003");
const flag = fc.constantFrom("0", "1");
const counter = fc.constantFrom("1", "2", "7");
const counters = fc.constantFrom(["1", "7"], ["2", "7", "8"]);

type Field = string | readonly string[];

const op = (keys: fc.Arbitrary<readonly string[]>, ...fields: readonly (fc.Arbitrary<Field> | string)[]) =>
  fc
    .tuple(keys, ...fields.map((field) => (typeof field === "string" ? fc.constant(field) : field)))
    .map(([ofOp, ...all]): Op => {
      return { keys: ofOp, fields: [...all.flat(), String(ofOp.length)], isShort: false };
    });
const shortOf = (...fields: readonly (fc.Arbitrary<Field> | string)[]) =>
  fc
    .tuple(shortKey, ...fields.map((field) => (typeof field === "string" ? fc.constant(field) : field)))
    .map(([key, ...all]): Op => ({ keys: [key], fields: all.flat(), isShort: true }));

const held = fc.tuple(base, number).map((parts) => parts.join(""));
const value = fc.tuple(base, number, info).map((parts) => parts.join(""));
const shortOp = fc.oneof(
  { weight: 8, arbitrary: shortOf("A", value, leaseMs, deadlineMs, token, counter, score) },
  { weight: 3, arbitrary: shortOf("M", value, leaseMs, deadlineMs, flag) },
  { weight: 6, arbitrary: shortOf("R", held) },
);
const anyOp = fc.oneof(
  { weight: 6, arbitrary: op(lockKeys, "a", kind, value, leaseMs, deadlineMs, token, score, flag, counters) },
  { weight: 2, arbitrary: op(lockKeys, "m", kind, value, leaseMs, deadlineMs, flag) },
  { weight: 2, arbitrary: op(lockKeys, "f", kind, base, token, deadlineMs, counters) },
  { weight: 4, arbitrary: op(lockKeys, "r", kind, held) },
  { weight: 2, arbitrary: op(lockKeys, "g", kind, held, score) },
  { weight: 1, arbitrary: op(lockKeys, "x", deadlineMs) },
  { weight: 17, arbitrary: shortOp },
);

/** reserveMs, ticketMs, bargeMaxMs, waitersMax, tells; none ends while two servers are asked. */
const settings = fc.constantFrom("500000 600000 60000 100 1", "0 600000 1000000000 2 0");
const FAR_US = "8000000000000000";
/** Past, and far away. */
const deadlineUs = fc.constantFrom("1000", FAR_US, FAR_US, FAR_US);

export function batchCalls(): fc.Arbitrary<readonly BatchCall[]> {
  const one = fc
    .tuple(fc.constantFrom(...CLIENTS), settings, deadlineUs, fc.array(anyOp, { minLength: 1, maxLength: 6 }))
    .map(([client, rest, earliest, ops]) => ({
      keys: ["P:boot", "P:counters", "P:waits", ...ops.flatMap(({ keys }) => keys)],
      args: [`${client} ${rest}`, countShort(ops), earliest, ...ops.flatMap(({ fields }) => fields)],
    }));
  return fc.array(one, { minLength: 5, maxLength: 40 });
}

/** The same call of short ops twice: as they are, together, and as general ops one after the other. */
export interface TwoForms {
  readonly keys: readonly string[];
  readonly forms: readonly [readonly string[], readonly string[]];
}

/** Each key with a counter of its own: ops that share one may draw from it in either order. */
const ownCounter = ({ fields, keys, isShort }: Op): Op => {
  const own = fields[0] === "A" ? fields.with(5, String(keys[0]?.codePointAt(7))) : fields;
  return { fields: own, keys, isShort };
};
const shortOps = fc.array(shortOp.filter(isTimely).map(ownCounter), { minLength: 1, maxLength: 6 });

export function shortAndGeneral(): fc.Arbitrary<readonly TwoForms[]> {
  const one = fc
    .tuple(fc.constantFrom(...CLIENTS), shortOps)
    .map(([client, ops]): TwoForms => {
      // No reservation runs out: only ops in the general form note that a client is alive again.
      const head = `${client} 500000 600000 60000 100 1`;
      const keys = ["P:boot", "P:counters", "P:waits", ...ops.flatMap(({ keys: ofOp }) => ofOp)];
      // Whether one comes late is told for all of them: see the sixth of ARGV.
      const short = [head, countShort(ops), FAR_US, ...ops.flatMap(({ fields }) => fields)];
      return { keys, forms: [short, [head, "0", FAR_US, ...ops.flatMap(generalOf)]] };
    });
  return fc.array(one, { minLength: 5, maxLength: 40 });
}

function isTimely({ fields }: Op): boolean {
  return !fields.includes("-60000");
}

function generalOf({ fields }: Op): string[] {
  const [letter = "", first = "", ...rest] = fields;
  if (letter === "R") return ["r", "x", first, "1"];
  if (letter === "M") return ["m", "x", first, ...rest, "1"];
  const [lease = "", deadline = "", proposal = "", ofCounter = "", ofScore = ""] = rest;
  return ["a", "x", first, lease, deadline, proposal, ofScore, "0", "1", ofCounter, "1"];
}

/** How many of the first are short and about different keys. */
function countShort(ops: readonly Op[]): string {
  const keys = ops.map((each) => each.keys[0]);
  const stop = ops.findIndex(({ isShort }, at) => !isShort || keys.indexOf(keys[at]) < at);
  return String(stop === -1 ? ops.length : stop);
}
