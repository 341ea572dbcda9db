/**
 * Puts one instance of a running lock group in the place of another. First the others, and the one that
 * leaves if it can be reached, are handed over to the new group, until a quorum of either is: from then on
 * processes with the old list get no quorum together. Only then does the newcomer's wait begin, so that every
 * lease is over by its end that the old group could have granted. Until that moment the others say of it
 * that it is joining, and nobody raises its counters.
 *
 * Each step is a compare-and-set, and asking again after a failure goes on where it stopped.
 */
import { type Env, systemEnv, WAIT_MS_MAX } from "../../env/index.ts";
import { CoterieError, quote } from "../../errors.ts";
import {
  invalidOption,
  numberField,
  readOptions,
  secretField,
  signalField,
  valueField,
} from "../../options.ts";
import { createInstance, DEFAULT_INSTANCE_SETTINGS, type InstanceInput } from "../../redis/index.ts";
import { JOINING, knownValue } from "./admission.ts";
import { type BootRecord, encodeBoot, groupDigest, judgeBoot, mismatch, parseBoot } from "./boot.ts";
import { type Facts, unfit } from "./facts.ts";
import { describeGroup } from "./group.ts";
import type { MemberInstance } from "./instance.ts";
import { groupKeys, Link, type Swap } from "./link.ts";

export interface ReplaceOptions {
  /** The locker's `name`. Default `"coterie"`. */
  readonly name?: string | undefined;
  /** The new group: as many instances as before, one of them new. */
  readonly instances: readonly InstanceInput[];
  /** The id of the instance that leaves. */
  readonly leaving: string;
  /** Where it is, if it still runs: then processes with the old list lose it sooner. Default: not asked. */
  readonly leavingAt?: InstanceInput | undefined;
  /** The locker's `leaseMsMax`. Default 30,000. */
  readonly leaseMsMax?: number | undefined;
  /** Milliseconds for each command. Default 1,000. */
  readonly deadlineMs?: number | undefined;
  /** Milliseconds that one attempt to connect may take. Default 2,000. */
  readonly connectDeadlineMs?: number | undefined;
  /** Aborts the connecting; what was begun after it is finished. */
  readonly signal?: AbortSignal | undefined;
  /** Clock, timers and chance; the system's by default. For tests. */
  readonly env?: Env | undefined;
}

const NAME_NEEDED = "1 to 64 letters, digits, dots, underscores or hyphens";
const ID_NEEDED = "the id of an instance";
const LEASE_MS_MAX_DEFAULT = 30_000;

const SHAPE = {
  name: valueField("coterie", NAME_NEEDED, isName),
  instances: secretField<readonly InstanceInput[]>([], "a list", Array.isArray),
  leaving: valueField<string | undefined>(undefined, ID_NEEDED, (value) => typeof value === "string"),
  leavingAt: secretField<InstanceInput | undefined>(undefined, "an instance", (value) => value !== null),
  leaseMsMax: numberField(LEASE_MS_MAX_DEFAULT, { min: 10, max: 86_400_000 }),
  deadlineMs: numberField(DEFAULT_INSTANCE_SETTINGS.deadlineMs, { min: 1, max: WAIT_MS_MAX }),
  connectDeadlineMs: numberField(DEFAULT_INSTANCE_SETTINGS.connectDeadlineMs, { min: 1, max: WAIT_MS_MAX }),
  signal: signalField(),
  env: valueField<Env>(systemEnv, "an Env", (value) => typeof value === "object" && value !== null),
};

/**
 * Replaces one instance of a lock group under traffic. Processes with the old list are refused from then on
 * (CONFIG_MISMATCH), so start those with the new list as well; locks that are held stay good until their
 * leases end. Rejects with CONFIG_MISMATCH when the groups differ in more than one instance, and with
 * NO_QUORUM or UNREACHABLE when too few answer; calling it again goes on where it stopped.
 */
export async function replaceLockInstance(options: ReplaceOptions): Promise<Replacement> {
  const where = "replaceLockInstance";
  const { instances, leaving, leavingAt, signal, env, ...rest } = readOptions(where, options, SHAPE);
  if (leaving === undefined) throw invalidOption(where, "leaving", ID_NEEDED, leaving);
  const settings = { ...DEFAULT_INSTANCE_SETTINGS, ...rest };
  const opened: MemberInstance[] = [];
  try {
    for (const [at, input] of instances.entries()) {
      opened.push(createInstance(`${where}: instances[${at}]`, input, settings, env));
    }
    const ids = opened.map(({ id }) => id);
    if (new Set(ids).size < Math.max(1, ids.length)) {
      throw invalidOption(where, "instances", "a list of at least one, with different ids", ids);
    }
    const last = leavingAt === undefined ? undefined : longForm(leavingAt, leaving);
    if (last !== undefined) opened.push(createInstance(`${where}: leavingAt`, last, settings, env));
    await Promise.all(opened.map((instance) => instance.open(signal)));
    return await replaceOn(opened.slice(0, ids.length), opened[ids.length], { ...rest, leaving }, env);
  } finally {
    for (const instance of opened) instance.destroy();
  }
}

function isName(value: unknown): boolean {
  return typeof value === "string" && /^[\w.-]{1,64}$/.test(value);
}

/** The instance that leaves has the id that it has in the group, whatever its address. */
function longForm(input: InstanceInput, id: string): InstanceInput {
  if (typeof input === "string") return { id, url: input };
  return "duplicate" in input ? { id, client: input } : { ...input, id };
}

interface ReplaceSettings {
  readonly name: string;
  readonly leaseMsMax: number;
  readonly deadlineMs: number;
  /** The id that leaves. */
  readonly leaving: string;
}

export interface Replacement {
  /**
   * The id that came; it votes after its wait, as soon as a process of the new group has let it in.
   * Undefined when nothing was left to do.
   */
  readonly newcomer: string | undefined;
  /** Ids that are handed over to the new group. */
  readonly done: readonly string[];
  /** Ids that could not be reached: they do not vote until the replacement is asked for again. */
  readonly missing: readonly string[];
}

/** Records change under our hands while processes look at them; more often than this they do not. */
const TRIES_MAX = 10;

/** One instance as it was found. */
interface Found {
  readonly id: string;
  readonly link: Link;
  readonly facts: Facts;
  readonly text: string | null;
}

/** What both groups are. */
interface Plan {
  readonly settings: ReplaceSettings;
  readonly ids: readonly string[];
  readonly quorum: number;
  readonly newcomer: string;
  readonly oldDigest: string;
  readonly newDigest: string;
  readonly description: string;
  readonly env: Env;
}

/**
 * `instances` are the new group, connected; `leaving` is the instance that leaves, if it can still be
 * reached. Changes nothing, and rejects, when too few of them answer.
 */
async function replaceOn(
  instances: readonly MemberInstance[],
  leaving: MemberInstance | undefined,
  settings: ReplaceSettings,
  env: Env,
): Promise<Replacement> {
  const ids = instances.map(({ id }) => id);
  if (ids.includes(settings.leaving)) {
    const what = `replaceLockInstance: leaving ${quote(settings.leaving)} is still one of the instances`;
    throw new CoterieError("INVALID_ARGUMENT", what, { details: { leaving: settings.leaving, ids } });
  }
  const all = leaving === undefined ? instances : [...instances, leaving];
  const found = (await Promise.all(all.map((instance) => look(instance, settings, env)))).filter(
    (one) => one !== undefined,
  );
  const plan = await planOf(ids, found, settings, env);
  if (plan === undefined) return result(undefined, ids, found);
  requireEnough(plan, found);
  const handed = await handOver(plan, found);
  const newcomer = found.find(({ id }) => id === plan.newcomer) as Found;
  const record = await beginWait(plan, newcomer);
  const known = new Map([[plan.newcomer, knownValue(record)]]);
  const told = await settled(
    handed.filter(({ id }) => id !== settings.leaving),
    async (one) => ((await one.link.note(one.text ?? "", known)) ? one : undefined),
  );
  return result(plan.newcomer, ids, [...told, newcomer]);
}

function result(newcomer: string | undefined, ids: readonly string[], of: readonly Found[]): Replacement {
  const isDone = (id: string): boolean => of.some((one) => one.id === id);
  return { newcomer, done: ids.filter(isDone), missing: ids.filter((id) => !isDone(id)) };
}

/** Undefined when it does not answer: it is left as it is. */
async function look(
  instance: MemberInstance,
  { name, deadlineMs }: ReplaceSettings,
  env: Env,
): Promise<Found | undefined> {
  const { id } = instance;
  if (!instance.available) return undefined;
  const link = new Link(instance, groupKeys(name), deadlineMs, env.clock);
  try {
    const facts = await link.facts();
    const problem = unfit(id, facts);
    if (problem !== undefined) throw problem;
    return { id, link, facts, text: (await link.look()).record };
  } catch (error) {
    if (CoterieError.is(error) && error.retryable) return undefined;
    throw error;
  }
}

/** Who comes is found by the digest that is registered; undefined when all is done already. */
async function planOf(
  ids: readonly string[],
  found: readonly Found[],
  settings: ReplaceSettings,
  env: Env,
): Promise<Plan | undefined> {
  const { leaving, leaseMsMax } = settings;
  const newDigest = groupDigest(ids, leaseMsMax);
  const plan = (newcomer: string): Plan => {
    const oldIds = [...ids.filter((id) => id !== newcomer), leaving];
    return {
      settings,
      ids,
      quorum: Math.floor(ids.length / 2) + 1,
      newcomer,
      oldDigest: groupDigest(oldIds, leaseMsMax),
      newDigest,
      description: describeGroup(ids.toSorted(), leaseMsMax),
      env,
    };
  };
  const others = found.filter(({ id }) => id !== leaving);
  const registered = new Set(others.flatMap((one) => digestOf(one) ?? []));
  const begun = ids.map(plan).find(({ oldDigest }) => registered.has(oldDigest));
  if (begun !== undefined) return begun;
  for (const { id } of others) {
    const marks = await Promise.all(others.map(({ link }) => link.known(id)));
    if (marks.some((mark) => mark?.startsWith(JOINING) === true)) return plan(id);
  }
  // One without a record was emptied: processes of the new group see to that.
  const strange = others.find((one) => one.text !== null && digestOf(one) !== newDigest);
  if (others.length > 0 && strange === undefined) return undefined;
  throw await foreign(strange, plan(""));
}

/** Throws unless what is there, and can be changed, is a quorum of both groups. */
function requireEnough(plan: Plan, found: readonly Found[]): void {
  const { newcomer, quorum, settings } = plan;
  const ours = found.filter(({ id }) => id !== newcomer);
  if (!found.some(({ id }) => id === newcomer)) {
    throw new CoterieError("UNREACHABLE", `replaceLockInstance: "${newcomer}" cannot be reached`, {
      details: { instance: newcomer },
    });
  }
  const stay = ours.filter(({ id }) => id !== settings.leaving).length;
  if (ours.length < quorum || stay + 1 < quorum) throw tooFew(plan, ours.length);
}

/** Hands over all that can be, and returns them; rejects when they are no quorum of both groups. */
async function handOver(plan: Plan, found: readonly Found[]): Promise<Found[]> {
  const { newcomer, quorum, settings } = plan;
  const ours = found.filter(({ id }) => id !== newcomer);
  const strange = ours.find(({ id, text, facts }) => {
    const verdict = (digest: string): string =>
      judgeBoot(text, { id, digest, leaseMsMax: settings.leaseMsMax }, facts.runId).is;
    return verdict(plan.oldDigest) === "foreign" && verdict(plan.newDigest) === "foreign";
  });
  if (strange !== undefined) throw await foreign(strange, plan);
  const newcomerText = found.find(({ id }) => id === newcomer)?.text ?? null;
  if (newcomerText !== null && digestIn(newcomerText) !== plan.newDigest) {
    throw await foreign(found.find(({ id }) => id === newcomer), plan);
  }
  const handed = await settled(ours, (one) => handOverOne(plan, one));
  const stay = handed.filter(({ id }) => id !== settings.leaving).length;
  if (handed.length < quorum || stay + 1 < quorum) throw tooFew(plan, handed.length);
  return handed;
}

/** As it is found from now on. */
async function handOverOne(plan: Plan, found: Found): Promise<Found> {
  const { id, link, facts } = found;
  const { settings, newDigest, newcomer, description } = plan;
  const mark = `${JOINING} ${plan.env.random.hex(8)}`;
  const text = await change(found.text, (now) => {
    const own = { id, leaseMsMax: settings.leaseMsMax, digest: digestIn(now) ?? newDigest };
    const verdict = judgeBoot(now, own, facts.runId);
    // It goes on voting only if it does, and never once it has left.
    const keeps = id !== settings.leaving && (verdict.is === "member" || verdict.is === "leapt");
    const next: BootRecord = {
      ...own,
      digest: newDigest,
      runId: facts.runId,
      state: keeps ? verdict.is : "abstaining",
      nonce: plan.env.random.hex(8),
      durable: keeps && verdict.record.durable,
    };
    const after = { next: encodeBoot(next), newcomer, mark, leaving: settings.leaving, group: description };
    return link.regroup(now, after);
  });
  return { ...found, text };
}

/** The newcomer abstains under a nonce that nobody has seen before now, unless it was let in already. */
async function beginWait(plan: Plan, { id, link, facts, text }: Found): Promise<BootRecord> {
  const own = { id, leaseMsMax: plan.settings.leaseMsMax, digest: plan.newDigest };
  const verdict = judgeBoot(text, own, facts.runId);
  if (verdict.is === "member") return verdict.record;
  const record: BootRecord = {
    ...own,
    runId: facts.runId,
    state: "abstaining",
    nonce: plan.env.random.hex(8),
    durable: false,
  };
  await change(text, (now) => link.swap(now, encodeBoot(record)));
  await link.describe(plan.description);
  return record;
}

/** Tries until nobody was faster; the record as it then is. */
async function change(
  text: string | null,
  attempt: (now: string | null) => Promise<Swap>,
): Promise<string | null> {
  let now = text;
  for (let tries = 0; tries < TRIES_MAX; tries += 1) {
    const swap = await attempt(now);
    if (swap.done) return swap.record;
    now = swap.record;
  }
  throw new CoterieError("MAYBE_APPLIED", "replaceLockInstance: the boot record changes all the time");
}

/** Those for which it succeeded. Who failed is as if it had not been reached. */
async function settled(
  of: readonly Found[],
  attempt: (one: Found) => Promise<Found | undefined>,
): Promise<Found[]> {
  const results = await Promise.allSettled(of.map((one) => attempt(one)));
  return results.flatMap((one) => (one.status === "fulfilled" && one.value !== undefined ? [one.value] : []));
}

function digestOf({ text }: Found): string | undefined {
  return digestIn(text);
}

function digestIn(text: string | null): string | undefined {
  return text?.split(" ", 3)[2];
}

async function foreign(one: Found | undefined, plan: Plan): Promise<CoterieError> {
  const registered = one === undefined ? null : await one.link.description();
  const { settings, newDigest } = plan;
  const given = `${plan.description} in the place of one with ${quote(settings.leaving)}`;
  const text = one?.text ?? null;
  const record = text === null ? undefined : parseBoot(text);
  return mismatch({ id: one?.id ?? "", text, record, registered, given, digest: newDigest });
}

function tooFew({ quorum, ids }: Plan, reached: number): CoterieError {
  return new CoterieError(
    "NO_QUORUM",
    `replaceLockInstance: ${reached} of ${ids.length} instances could be handed over, ${quorum} needed; ` +
      "ask again when more can be reached",
    { details: { reached, needed: quorum } },
  );
}
