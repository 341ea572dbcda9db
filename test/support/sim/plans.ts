/**
 * What the model test runs: worlds small and quick enough that a seed takes milliseconds, every length in
 * them short and in proportion. The seed alone decides what kind of world it is.
 */
import { seededRandom } from "../../../src/testing/index.ts";
import type { OpenSettings } from "../../../src/locks/open.ts";
import type { RunPlan } from "./run.ts";

/**
 * `within`: no more instances leap in time at once than may, and no more lose their data, or any number
 * while clocks agree to less than the wait of one that lost them. `beyond`: any number leaps.
 */
export type PlanKind = "within" | "beyond";

const LEASE_MS_MAX = 400;
const NAME = "sim";

export function planOf(seed: number, instances: number, kind: PlanKind = "within", traces = false): RunPlan {
  // Another stream of chance than the world's own, so that a plan can change without the run.
  const random = seededRandom(seed + 2 ** 40);
  const tolerated = instances - (Math.floor(instances / 2) + 1);
  const losesMany = kind === "within" && random.below(instances === 1 ? 3 : 6) === 0;
  // It waives what is promised when too many lose their data at once.
  const assumeNew = !losesMany && random.below(12) > 0;
  const durable = random.below(4) === 0 ? ["a"] : [];
  const settings: OpenSettings = {
    name: NAME,
    leaseMsMax: LEASE_MS_MAX,
    assumeNew,
    durable,
    deadlineMs: 40,
    reserveMs: 20,
    ticketMs: 500,
    splitMs: 8,
    spareMs: seed % 3 === 0 ? 0 : 2,
    // As if many others asked at the same time.
    spareFrom: 0,
    bargeMaxMs: 100,
    waitersMax: 20,
    keys: "encoded",
  };
  const processes = 2 + Math.floor(random.fraction() ** 2 * 3);
  return {
    world: {
      seed,
      instances,
      traces,
      line: { deadlineMs: 40, connectDeadlineMs: 80, healthMs: 100, retryMs: 20 },
      driftMax: 0.001,
      aheadMsMax: losesMany ? LEASE_MS_MAX / 4 : 2000,
      delayMs: [0.1, 0.3 + random.below(4)],
    },
    work: {
      settings,
      resources: ["one", "two", "three"].slice(0, 1 + random.below(3)),
      permits: 1 + random.below(3),
      leasesMs: [60, 120, 200, LEASE_MS_MAX],
      waitsMs: [0, 30, 100, 300],
      holdMsMax: 50,
      thinkMsMax: 50,
      shares: { permit: random.below(3), readWrite: random.below(4), several: random.below(3) },
      forces: random.below(4) === 0,
      workers: random.below(3) === 0 ? 2 : 1,
    },
    faults: {
      pauseMs: 8 + random.below(30),
      losersMax: losesMany ? instances : tolerated,
      leapersMax: kind === "beyond" ? instances : losesMany ? 0 : tolerated,
      leapMsMin: 300,
      lastsMsMax: 50 + random.below(300),
      leaseMsMax: LEASE_MS_MAX,
      bootKey: `${NAME}:boot`,
      noticeMs: LEASE_MS_MAX / 2,
    },
    processes,
    // Whoever waits for old leases first has less to do.
    runMs: 120 + random.below(150) + (assumeNew ? 0 : 1.3 * LEASE_MS_MAX),
    settleMs: 3000,
    keeps: kind === "beyond" ? "tokens" : "everything",
    durable,
  };
}
