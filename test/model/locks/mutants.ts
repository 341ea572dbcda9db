/**
 * What is broken in turn, to see that the simulation finds it. Each takes one promise's ground away: the
 * quarantine, the drift allowance, the second trip of a token, and what else a lock rests on.
 */
import { FAULT_NAMES, type FaultName } from "../../support/sim/faults.ts";
import type { Mutant } from "../../support/sim/mutant.ts";

const SCRIPTS = "src/locks/scripts/generated.ts";

/** All faults but these are left out. */
function only(...names: readonly FaultName[]): readonly FaultName[] {
  return FAULT_NAMES.filter((name) => !names.includes(name));
}

export const MUTANTS: readonly Mutant[] = [
  {
    name: "scripts do not ask whether the instance is a member",
    file: SCRIPTS,
    from: "if found[1] ~= ARGV[1] then return 'ABSTAIN ' .. time[1] .. ' ' .. time[2] end",
    to: "",
    finds: /overlap|token/,
    instances: 3,
    seedsMax: 300,
    without: only("server flushed", "process paused", "wire cut"),
  },
  {
    name: "an emptied instance votes again at once",
    file: "src/locks/group/boot.ts",
    from: "this.#waitMs = leaseMsMax * (1 + DRIFT_RATIO) + DRIFT_MS;",
    to: "this.#waitMs = 0 * leaseMsMax;",
    finds: /overlap/,
    instances: 3,
    seedsMax: 300,
    without: only("server crashed", "server flushed", "process paused", "wire cut"),
  },
  {
    name: "an instance that was emptied passes for new",
    file: "src/locks/group/admission.ts",
    from: "if (answers.some((known) => known !== value)) {",
    to: "if (answers.some((known) => known !== value && known === undefined)) {",
    finds: /overlap|token/,
    instances: 3,
    seedsMax: 300,
    without: only("server crashed", "server flushed", "process paused", "wire cut"),
  },
  {
    name: "another run of the server is taken for the same",
    file: "src/locks/group/boot.ts",
    from: "return record.runId === runId ? {",
    to: "return record.runId !== undefined ? {",
    finds: /overlap|token/,
    instances: 3,
    seedsMax: 900,
    without: only("server crashed", "process paused", "wire cut"),
  },
  {
    name: "counters are not raised before an instance votes again",
    file: SCRIPTS,
    from: "  raise(ARGV[at], tonumber(ARGV[at + 1]))\n",
    to: "",
    finds: /token/,
    instances: 3,
    seedsMax: 400,
    without: only("server flushed", "wall clock leapt"),
    // One instance after the other must have lost them, until a quorum has.
    tweak: (plan) => ({
      ...plan,
      runMs: 3000,
      work: { ...plan.work, leasesMs: [60], waitsMs: [0, 100], resources: ["one"], workers: 1 },
      faults: { ...plan.faults, pauseMs: plan.faults.pauseMs / 3, losersMax: 1 },
    }),
  },
  {
    name: "a leap of a server's clock is not looked for",
    file: "src/locks/group/member.ts",
    from: "if (leap === undefined) return this.#suspectUnder === undefined;",
    to: "if (leap === undefined || leap.leastUs !== undefined) return true;",
    finds: /overlap/,
    instances: 1,
    seedsMax: 300,
    without: only("server leapt"),
    // One of one is more than may leap; where it is noticed, nobody gets the lock for a while.
    tweak: (plan) => ({ ...plan, faults: { ...plan.faults, leapersMax: 1 } }),
  },
  {
    name: "nothing is taken off a lease for drift",
    file: "src/locks/core/lease.ts",
    from: "return leaseMs * DRIFT_RATIO + DRIFT_MS;",
    to: "return 0 * leaseMs;",
    finds: /overlap/,
    instances: 1,
    seedsMax: 1500,
    without: only("process paused"),
    tweak: (plan) => ({
      ...plan,
      world: { ...plan.world, driftMax: 0.0049, delayMs: [0.05, 0.1] },
      work: { ...plan.work, leasesMs: [400], waitsMs: [600], resources: ["one"], workers: 2 },
    }),
  },
  {
    name: "a lease counts from its answer",
    file: "src/locks/core/acquisition.ts",
    from: "ballot.grant = new Grant(ballot.sentAt,",
    to: "ballot.grant = new Grant(this.#port.now(),",
    finds: /overlap/,
    instances: 3,
    seedsMax: 600,
    without: only("process paused", "wire slow", "replies held"),
  },
  {
    name: "a lease counts from the newest vote alone",
    file: "src/locks/core/votes.ts",
    from: "if (reached >= quorum) start = sentAt;",
    to: "if (reached >= 1) start = sentAt;",
    finds: /overlap/,
    instances: 3,
    seedsMax: 1000,
  },
  {
    name: "less than a majority is enough",
    file: "src/locks/group/group.ts",
    from: "this.quorum = Math.floor(ids.length / 2) + 1;",
    to: "this.quorum = Math.ceil(ids.length / 2) - (ids.length > 1 ? 1 : 0);",
    finds: /overlap/,
    instances: 3,
    seedsMax: 100,
  },
  {
    name: "tokens are drawn without the second trip",
    file: "src/locks/core/votes.ts",
    from: "return { raiseTo: highest + 1 };",
    to: "return { token: highest + 1 };",
    finds: /token/,
    instances: 3,
    seedsMax: 100,
  },
  {
    name: "a renewal that comes too late revives the lock",
    file: "src/locks/engine/hold.ts",
    from: "    this.#checkEnd(now);\n    if (this.#state !== \"held\") return;\n    const endsAt",
    to: "    const endsAt",
    finds: /revived|overlap/,
    instances: 3,
    seedsMax: 1500,
    without: only("process paused", "process slept", "replies held", "wire slow"),
  },
  {
    name: "a command that comes late is done all the same",
    file: SCRIPTS,
    from: "local function isLate(deadlineMs) return now > sentAt + tonumber(deadlineMs) * 1000 end",
    to: "local function isLate(deadlineMs) return false end",
    finds: /granted \d/,
    instances: 3,
    seedsMax: 100,
  },
  {
    name: "a writer does not look for readers",
    file: SCRIPTS,
    from: "    local ends = readUntil(key)\n",
    to: "    local ends = nil\n",
    finds: /overlap/,
    instances: 3,
    seedsMax: 300,
  },
  {
    name: "what the machine slept is not counted",
    file: "src/locks/core/steady-clock.ts",
    from: "this.#asleepMs += sleptMs + BOOT_STEP_MS;",
    to: "this.#asleepMs += 0 * sleptMs;",
    finds: /overlap|revived/,
    instances: 3,
    seedsMax: 600,
    without: only("process slept"),
  },
];
