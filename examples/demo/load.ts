/**
 * The load generator: a fixed number of callers, each with items of its own, asks every process in turn
 * to write and to read. Its one idea: an item has one caller, who knows the last version that was
 * acknowledged and the last that was tried, so each read can be judged.
 */
import { systemEnv } from "coterie";

import type { Client } from "./client.ts";
import type { App } from "./stage.ts";
import { type Answer, type Phase, Tally, type Verdict } from "./tally.ts";

const CALLERS = 16;
/** Between two requests of a caller: a load to look at, not the machine's limit. */
const PAUSE_MS = 8;

interface Versions {
  acknowledged: number;
  tried: number;
}

/** Counts since the live line was last drawn. */
export interface Recent {
  readonly byShard: ReadonlyMap<string, number>;
  readonly verdicts: Readonly<Record<Verdict, number>>;
}

export class Load {
  /** What the next samples are counted under. */
  phase: Phase = "before";
  readonly tally: Tally = new Tally();
  readonly #client: Client;
  readonly #apps: readonly App[];
  readonly #owners: ReadonlyMap<string, string>;
  readonly #versions: ReadonlyMap<string, Versions>;
  #acknowledged = 0;
  #recent = noRecent();
  #running: Promise<void[]> | undefined;
  #stopping = false;

  /** `owners` says for each item which shard the processes agreed on. */
  constructor(client: Client, apps: readonly App[], owners: ReadonlyMap<string, string>) {
    this.#client = client;
    this.#apps = apps;
    this.#owners = owners;
    this.#versions = new Map([...owners.keys()].map((item) => [item, { acknowledged: 0, tried: 0 }]));
  }

  get acknowledged(): number {
    return this.#acknowledged;
  }

  /** Writes every item once, so that each read that follows has something to find, and then goes on. */
  async start(): Promise<void> {
    const items = [...this.#owners.keys()];
    const own = Array.from({ length: CALLERS }, (_, caller) =>
      items.filter((_item, at) => at % CALLERS === caller),
    );
    await Promise.all(
      own.map(async (list) => {
        for (const item of list) if (!this.#stopping) await this.#write(item);
      }),
    );
    this.#running = Promise.all(own.map((list) => this.#callAgainAndAgain(list)));
  }

  /** Resolves when the requests on their way were answered. */
  async stop(): Promise<void> {
    this.#stopping = true;
    await this.#running;
  }

  /** Reads every item, and says which do not hold their last acknowledged write or a later one. */
  async readBack(): Promise<{ readonly itemsRead: number; readonly lost: string[] }> {
    const lost: string[] = [];
    let itemsRead = 0;
    const left = [...this.#versions];
    const readOn = async () => {
      for (let next = left.pop(); next !== undefined; next = left.pop()) {
        const [item, versions] = next;
        // The load may go on: what is read was written after this version and before the one of then.
        const { acknowledged } = versions;
        const answer = await this.#ask("GET", this.#appFor(itemsRead), item);
        itemsRead += 1;
        const held = valueIn(answer);
        if (Number(held) >= acknowledged && Number(held) <= versions.tried) continue;
        lost.push(`${item} holds ${held}, and ${acknowledged} was acknowledged`);
      }
    };
    await Promise.all(Array.from({ length: CALLERS }, readOn));
    return { itemsRead, lost };
  }

  /** What happened since the last call. */
  takeRecent(): Recent {
    const recent = this.#recent;
    this.#recent = noRecent();
    return recent;
  }

  async #callAgainAndAgain(items: readonly string[]): Promise<void> {
    const { clock, random } = systemEnv;
    while (!this.#stopping) {
      const item = items[random.below(items.length)] as string;
      if (random.below(2) === 0) await this.#write(item);
      else await this.#read(item);
      await clock.sleep(PAUSE_MS);
    }
  }

  async #write(item: string): Promise<void> {
    const versions = this.#versions.get(item) as Versions;
    versions.tried += 1;
    const version = versions.tried;
    if ((await this.#sample("PUT", item, String(version))) !== "served") return;
    versions.acknowledged = version;
    this.#acknowledged += 1;
  }

  async #read(item: string): Promise<void> {
    await this.#sample("GET", item);
  }

  async #sample(method: "GET" | "PUT", item: string, body?: string): Promise<Verdict> {
    const app = this.#appFor(systemEnv.random.below(this.#apps.length));
    const owner = this.#owners.get(item) as string;
    const askedIn = this.phase;
    const answer = await this.#ask(method, app, item, body);
    const versions = method === "GET" ? { versions: { ...(this.#versions.get(item) as Versions) } } : {};
    const verdict = this.tally.add({
      app: app.label,
      owner,
      askedIn,
      answeredIn: this.phase,
      answer,
      ...versions,
    });
    this.#recent.byShard.set(owner, (this.#recent.byShard.get(owner) ?? 0) + 1);
    this.#recent.verdicts[verdict] += 1;
    return verdict;
  }

  #ask(method: string, { url }: App, item: string, body?: string): Promise<Answer | Error> {
    return this.#client.ask(method, `${url}/items/${item}`, body).catch((error: unknown) => error as Error);
  }

  #appFor(n: number): App {
    return this.#apps[n % this.#apps.length] as App;
  }
}

function valueIn(answer: Answer | Error): string {
  if (answer instanceof Error) return answer.message;
  if (answer.status !== 200) return `status ${answer.status}`;
  return String((JSON.parse(answer.body) as { readonly value?: unknown }).value);
}

function noRecent(): { byShard: Map<string, number>; verdicts: Record<Verdict, number> } {
  return { byShard: new Map(), verdicts: { served: 0, refused: 0, wrong: 0 } };
}
