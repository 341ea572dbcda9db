/**
 * A peer's disk: what was synced is there after a crash, of what was only written a part may be. Records
 * reach the platter in the order of writing: term and vote, the entries, the commit index; a crash keeps
 * some first ones of them, so that the last write may be torn.
 */
import type { Config, Entry, HardState, Ready, Snapshot, StoredState } from "../../src/raft/index.ts";
import { MemoryLog } from "../../src/raft/log/memory-log.ts";
import type { World } from "./world.ts";

type Write = Pick<Ready, "hardState" | "entries" | "snapshot">;

export interface DiskPlan {
  readonly syncMs: readonly [low: number, high: number];
  /** Of this share of syncs the time is drawn from a longer span. */
  readonly slowRatio: number;
  readonly slowMs: readonly [low: number, high: number];
}

export class Disk {
  readonly #world: World;
  readonly #plan: DiskPlan;
  readonly #log: MemoryLog;
  /** Written, not synced. */
  #pending: Write[] = [];
  #busyUntilMs = 0;
  #failsNext = false;
  /** Grows with each crash: what was under way before it is over. */
  #life = 0;
  readonly met = { torn: 0, unsynced: 0, failed: 0 };

  constructor(world: World, plan: DiskPlan, config?: Config) {
    this.#world = world;
    this.#plan = plan;
    this.#log = new MemoryLog(config);
  }

  /** What the core reads: everything that is synced. */
  get log(): MemoryLog {
    return this.#log;
  }

  /** Whether the next sync fails, and with it the peer. */
  set failsNextSync(fails: boolean) {
    this.#failsNext = fails;
  }

  /** Writes, and calls back when it is on the disk, in the order of the calls; or says that it failed. */
  write(write: Write, mustSync: boolean, done: (isOn: boolean) => void): void {
    this.#pending.push(write);
    const life = this.#life;
    const now = this.#world.nowMs;
    this.#busyUntilMs = Math.max(this.#busyUntilMs, now) + (mustSync ? this.#syncMs() : 0);
    this.#world.after(this.#busyUntilMs - now, () => {
      if (life !== this.#life) return;
      if (mustSync && this.#failsNext) {
        this.#failsNext = false;
        this.met.failed += 1;
        done(false);
        return;
      }
      this.#log.write(this.#pending.shift() as Write);
      done(true);
    });
  }

  /** Stores a snapshot of the peer's own, and forgets all but the last entries before it. */
  compact(snapshot: Snapshot, keptEntries: number): void {
    if (snapshot.index <= (this.#log.snapshot()?.index ?? 0)) return;
    this.#log.keep(snapshot);
    const upTo = snapshot.index - keptEntries;
    if (upTo >= this.#log.firstIndex()) this.#log.compact(upTo);
  }

  /** The machine stops: of what was not synced, some first part is kept. */
  crash(): void {
    this.#life += 1;
    this.#busyUntilMs = 0;
    const kept = this.#world.random.below(this.#pending.length + 1);
    if (this.#pending.length > kept) this.met.unsynced += 1;
    for (const write of this.#pending.slice(0, kept)) this.#log.write(write);
    const torn = this.#pending[kept];
    if (torn !== undefined && this.#world.chance(0.5)) this.#tear(torn);
    this.#pending = [];
    this.#forgetCommit();
  }

  /** What a restarted peer finds. */
  stored(): StoredState {
    const { hardState, config, appliedIndex } = this.#log.stored();
    const { term, votedFor } = hardState;
    // The commit index is a hint, and may have been written before what it is about.
    const commitIndex = Math.min(hardState.commitIndex, this.#log.lastIndex());
    return { hardState: { term, votedFor, commitIndex }, config, appliedIndex };
  }

  /** Nobody syncs for the commit index alone: an earlier one may be on the platter. */
  #forgetCommit(): void {
    const { term, votedFor, commitIndex } = this.#log.stored().hardState;
    const earliest = this.#log.firstIndex() - 1;
    if (commitIndex <= earliest || this.#world.chance(0.5)) return;
    const kept = this.#world.between(earliest, commitIndex);
    this.#log.write({ hardState: { term, votedFor, commitIndex: kept }, entries: [], snapshot: undefined });
  }

  #tear({ hardState, entries, snapshot }: Write): void {
    this.met.torn += 1;
    // A snapshot is in a file of its own and counts when its name does.
    if (snapshot !== undefined) return;
    const first: HardState | undefined = hardState && {
      ...hardState,
      commitIndex: this.#log.stored().hardState.commitIndex,
    };
    const some: readonly Entry[] = entries.slice(0, this.#world.random.below(entries.length + 1));
    this.#log.write({ hardState: first, entries: some, snapshot: undefined });
  }

  #syncMs(): number {
    const { syncMs, slowMs, slowRatio } = this.#plan;
    const [low, high] = slowRatio > 0 && this.#world.chance(slowRatio) ? slowMs : syncMs;
    return this.#world.between(low, high);
  }
}
