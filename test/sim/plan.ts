/**
 * The plan of a run, drawn from its seed: how many peers, which options, which network, which faults. Most
 * seeds get a bit of everything; some are calm, so that what only happens under steady load happens too.
 */
import type { MetaStoreOptions } from "../../src/meta/index.ts";
import type { ClientPlan } from "./client.ts";
import type { DiskPlan } from "./disk.ts";
import { type FaultName, type FaultPlan, FAULTS } from "./faults.ts";
import type { LeaseHolderPlan } from "./lease-holder.ts";
import type { NetworkPlan } from "./network.ts";
import type { OperatorPlan } from "./operator.ts";
import type { PeerPlan } from "./peer.ts";
import { World } from "./world.ts";

export interface RunPlan {
  readonly seed: number;
  readonly peers: number;
  readonly runMs: number;
  /** How long the group may take to get going once all faults are over. */
  readonly calmMs: number;
  readonly peer: PeerPlan;
  readonly disk: DiskPlan;
  readonly network: NetworkPlan;
  readonly faults: FaultPlan;
  readonly operator: OperatorPlan;
  readonly clients: readonly ClientPlan[];
  readonly leases: LeaseHolderPlan;
}

export const CALM_NETWORK: NetworkPlan = {
  lossRatio: 0,
  repeatRatio: 0,
  delayMs: [1, 6],
  slowRatio: 0,
  slowMs: [0, 0],
};

export interface PlanOptions {
  /** A fixed number of peers instead of 3 to 7. */
  readonly peers?: number | undefined;
  readonly runMs?: number | undefined;
}

export function planOf(seed: number, options: PlanOptions = {}): RunPlan {
  // Other draws than those of the run, from the same seed.
  const world = new World(seed * 2 + 1);
  const peers = options.peers ?? world.pick([3, 3, 4, 5, 5, 5, 7]);
  const keys = Array.from({ length: world.between(2, 6) }, (_, at) => `key${at}`);
  return {
    seed,
    peers,
    runMs: options.runMs ?? 30_000,
    calmMs: 20_000,
    peer: peerPlan(world),
    disk: {
      syncMs: [0, world.pick([1, 4, 12])],
      slowRatio: world.pick([0, 0.01, 0.05]),
      slowMs: [30, 400],
    },
    network: networkPlan(world),
    faults: faultPlan(world),
    operator: {
      everyMs: world.pick([
        [0, 0],
        [500, 3_000],
        [1_500, 5_000],
      ]),
      votersMin: 3,
      votersMax: 7,
    },
    leases: { ttlMs: [300, 2_000], renewals: [0, 4] },
    clients: Array.from({ length: 6 }, (_, at): ClientPlan => ({
      keys,
      thinkMs: [1, world.pick([120, 240])],
      wayMs: [0, 3],
      retryMs: world.pick([150, 400]),
      giveUpMs: world.pick([1_500, 3_000]),
      hasSession: at % 3 !== 2,
    })),
  };
}

function peerPlan(world: World): PeerPlan {
  const electionTicks = world.pick([6, 10]);
  const overlapsWrites = world.chance(0.5);
  return {
    raft: {
      electionTicks,
      heartbeatTicks: 1,
      overlapsWrites,
      preVote: !world.chance(0.1),
      checkQuorum: !world.chance(0.1),
      appendBytesMax: world.pick([1, 100, 100_000]),
      applyingBytesMax: world.pick([60, 1_000, 100_000]),
      uncommittedBytesMax: world.pick([400, 10_000, 1_000_000]),
      inflightMessagesMax: world.pick([2, 8, 256]),
      inflightEntriesMax: world.pick([4, 1_000]),
      inflightBytesMax: world.pick([200, 1_000_000]),
      snapshotPartsMax: world.pick([1, 3]),
      readsMax: world.pick([4, 1_000]),
    },
    store: storePlan(world),
    tickMs: 50,
    snapshotEntries: world.pick([15, 60, 250]),
    keptEntries: world.pick([0, 5, 50]),
    snapshotPartBytes: world.pick([100, 500, 100_000]),
    applyMs: [0, world.pick([0, 5, 30])],
  };
}

function storePlan(world: World): MetaStoreOptions {
  return {
    historyEventsMax: world.pick([20, 1_000]),
    sessionsMax: world.pick([3, 100]),
    sessionAnswersMax: world.pick([1, 16]),
  };
}

function networkPlan(world: World): NetworkPlan {
  if (world.chance(0.15)) return CALM_NETWORK;
  return {
    lossRatio: world.pick([0, 0.01, 0.05, 0.15]),
    repeatRatio: world.pick([0, 0.02, 0.1]),
    delayMs: [1, world.pick([3, 8, 30])],
    slowRatio: world.pick([0, 0.01, 0.05]),
    slowMs: [50, world.pick([300, 2_500])],
  };
}

function faultPlan(world: World): FaultPlan {
  const without: ReadonlySet<FaultName> = new Set(world.shuffled(FAULTS).slice(0, world.between(0, 5)));
  return {
    everyMs: world.pick([
      [300, 1_500],
      [800, 3_000],
      [1_500, 4_000],
    ]),
    lastsMs: world.pick([
      [100, 1_500],
      [300, 4_000],
    ]),
    ambushRatio: world.pick([0, 0, 0.4, 0.9]),
    kinds: FAULTS.filter((name) => !without.has(name)),
  };
}
