/**
 * How an instance comes to vote. A newcomer does once a quorum of the group was asked and nobody knows it.
 * One that lost its data does after its wait, when its counters have been raised to what enough others
 * have: so many that at least one of them took part in every grant that the lost counters took part in.
 *
 * Every process does all of this for itself, at the same time as others: each step is a compare-and-set or
 * only raises, so doing it twice does no harm. Nothing here decides by a clock but the wait, which is over
 * before any counter is read.
 */
import { publish } from "../../observe/index.ts";
import { type BootRecord, encodeBoot } from "./boot.ts";
import type { Link, Look, Source } from "./link.ts";
import type { Member } from "./member.ts";
import type { GroupSettings } from "./status.ts";

/** What stands in the place of a run id from when a replacement begins until its newcomer may be seeded. */
export const JOINING = "joining";

/** Some of the group, each with what was seen of it, so that nothing is mixed with what comes later. */
interface Seen {
  readonly member: Member;
  readonly link: Link;
  readonly text: string;
  readonly record: BootRecord;
}

interface SeenSource extends Seen, Source {}

export class Admission {
  readonly #members: readonly Member[];
  readonly #quorum: number;
  readonly #settings: GroupSettings;
  /** Ids that the operator declared gone for good. */
  readonly #gone = new Set<string>();
  #rescue: Promise<void> | undefined;

  constructor(members: readonly Member[], quorum: number, settings: GroupSettings) {
    this.#members = members;
    this.#quorum = quorum;
    this.#settings = settings;
  }

  /** Nobody is waited for any more that has one of these ids and cannot be reached. */
  without(ids: readonly string[]): void {
    for (const id of ids) this.#gone.add(id);
  }

  /** What then stands on the instance; undefined when too few others can be asked now. */
  async claim(member: Member): Promise<Look | undefined> {
    const [own] = seen([member]);
    if (own === undefined) return undefined;
    const value = knownValue(own.record);
    const links = this.#others(member).flatMap(({ link }) => (link === undefined ? [] : [link]));
    // Noted before it votes, and on a quorum: whoever finds it empty later will be told.
    const answers = await answered(links.map((link) => link.noteUnlessKnown(member.id, value)));
    if (answers.some((known) => known !== value)) {
      member.explain("it has no boot record, and others know it: it was emptied");
      return own.link.swap(own.text, encodeBoot(member.nextRecord("abstaining")));
    }
    if (answers.length + 1 < this.#quorum) {
      member.explain("too few other instances can say whether it is new");
      return undefined;
    }
    const { nonce } = own.record;
    return own.link.swap(own.text, encodeBoot(member.nextRecord("member", { nonce })));
  }

  /** What then stands on the instance; undefined when it must go on waiting for others. */
  async readmit(member: Member): Promise<Look | undefined> {
    const [own] = seen([member]);
    if (own === undefined) return undefined;
    const needed = this.#members.length - this.#quorum + 1;
    const possible = this.#others(member).filter((other) => !this.#isLost(other));
    if (possible.length < needed) {
      this.#rescue ??= this.#runRescue().finally(() => {
        this.#rescue = undefined;
      });
      await this.#rescue;
      return own.link.look();
    }
    const sources = (await readSources(seen(possible.filter(isSource)))).filter(({ known }) =>
      isSettled(known, member.id),
    );
    if (sources.length < needed) {
      const missing = possible.filter((other) => !sources.some((source) => source.member === other));
      const names = missing.map(({ id }) => `"${id}"`).join(", ");
      member.explain(`it needs the counters of ${needed} members, and waits for ${names}`);
      return undefined;
    }
    const record = member.nextRecord("member");
    const noted = await noteOn(sources, new Map([[member.id, knownValue(record)]]));
    if (noted + 1 < this.#quorum) return undefined;
    return own.link.readmit(own.text, { next: encodeBoot(record), ...merge(sources) });
  }

  /**
   * More lost their data than the others can make good. A quorum raises its counters to all that can be read
   * and to a time that no token has reached, as far as clocks agree; then those that waited vote again.
   */
  async #runRescue(): Promise<void> {
    const { name, leaseMsMax, tokenSkewMaxMs } = this.#settings;
    const present = seen(this.#members.filter(isThere));
    const waiting = present.filter(({ record }) => record.state === "abstaining");
    if (present.length < this.#quorum) {
      const why = `too many lost their data, and ${present.length} of ${this.#quorum} needed can be reached`;
      for (const { member } of waiting) member.explain(why);
      return;
    }
    // Whoever is over almost at the same time is rescued at the same time.
    const isSoon = ({ waitLeftMs }: Member): boolean => waitLeftMs > 0 && waitLeftMs <= leaseMsMax / 10;
    if (waiting.some(({ member }) => isSoon(member))) return;
    // Decided before anything is read: what is read during a wait may be raised before it is over.
    const over = new Set(waiting.filter(({ member }) => member.waitLeftMs === 0).map(({ text }) => text));
    const sources = await readSources(present);
    const ready = sources.filter(
      ({ member, text }) => over.has(text) && sources.every(({ known }) => isSettled(known, member.id)),
    );
    if (ready.length === 0 || sources.length < this.#quorum) return;
    const raising = { ...merge(sources), aheadUs: 2 * tokenSkewMaxMs * 1000 };
    const raised = await answered(sources.map(({ link, text }) => link.readmit(text, raising)));
    if (raised.filter(({ done }) => done).length < this.#quorum) return;
    const next = new Map(ready.map(({ member }) => [member, member.nextRecord("member")]));
    const known = new Map([...next].map(([{ id }, record]) => [id, knownValue(record)]));
    if ((await noteOn(sources, known)) < this.#quorum) return;
    await answered(
      ready.map(({ member, link, text }) => link.swap(text, encodeBoot(next.get(member) as BootRecord))),
    );
    publish("coterie:lock:data-loss", { group: name, instances: ready.map(({ member }) => member.id) });
    for (const { member } of ready) member.examine();
  }

  #others(member: Member): Member[] {
    return this.#members.filter((other) => other !== member);
  }

  /** Its counters are gone for certain. One that cannot be reached may have them, unless it is gone. */
  #isLost(member: Member): boolean {
    return member.link === undefined ? this.#gone.has(member.id) : member.verdict === "abstaining";
  }
}

/** What others keep of a membership: which run of the server, and which record. */
export function knownValue({ runId, nonce }: BootRecord): string {
  return `${runId} ${nonce}`;
}

/** It votes, or will again without having lost anything. */
function isSource({ verdict }: Member): boolean {
  return verdict === "member" || verdict === "leapt";
}

function isThere(member: Member): boolean {
  return isSource(member) || member.verdict === "abstaining";
}

/** False while the instance is the newcomer of a replacement that was begun and not finished. */
function isSettled(known: ReadonlyMap<string, string>, id: string): boolean {
  return known.get(id)?.startsWith(JOINING) !== true;
}

/** Those that can be asked now. */
function seen(members: readonly Member[]): Seen[] {
  return members.flatMap((member) => {
    const { link, text, record } = member;
    if (link === undefined || text === null || record === undefined) return [];
    return [{ member, link, text, record }];
  });
}

async function readSources(from: readonly Seen[]): Promise<SeenSource[]> {
  const read = await answered(
    from.map(async (one) => {
      const source = await one.link.source(one.text);
      // It is not what we took it for.
      if (source === undefined) one.member.doubt();
      return source === undefined ? undefined : { ...one, ...source };
    }),
  );
  return read.filter((source) => source !== undefined);
}

/** The greatest of each counter, and all that is known. */
function merge(sources: readonly Source[]): Source {
  const counters = new Map<string, number>();
  const known = new Map<string, string>();
  for (const source of sources) {
    for (const [field, count] of source.counters) {
      counters.set(field, Math.max(count, counters.get(field) ?? 0));
    }
    for (const [id, value] of source.known) known.set(id, value);
  }
  return { counters, known };
}

/** On how many it was noted. */
async function noteOn(sources: readonly Seen[], known: ReadonlyMap<string, string>): Promise<number> {
  const noted = await answered(sources.map(({ link, text }) => link.note(text, known)));
  return noted.filter(Boolean).length;
}

/** The answers of those that gave one; who did not is as if it had not been asked. */
async function answered<T>(asked: readonly Promise<T>[]): Promise<T[]> {
  const settled = await Promise.allSettled(asked);
  return settled.flatMap((one) => (one.status === "fulfilled" ? [one.value] : []));
}
