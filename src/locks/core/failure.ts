/** Why an acquire failed, in one error that names its numbers. Pure. */
import { CoterieError } from "../../errors.ts";
import type { AcquisitionPlan, Ballot } from "./plan.ts";
import type { Vote } from "./votes.ts";
import { describe } from "../resources.ts";

/** What became of each instance's vote, for people and for `redlock`'s statistics. */
export interface InstanceVote {
  readonly instance: string;
  readonly vote: Vote;
  /** Why it was unreachable. */
  readonly error?: CoterieError | undefined;
}

export function votesOf(
  instances: readonly string[],
  ballots: readonly Ballot[],
): readonly InstanceVote[] {
  return ballots.map(({ vote, error }, at) => {
    const instance = instances[at] as string;
    return { instance, vote: vote ?? "unreachable", ...(vote === "unreachable" ? { error } : {}) };
  });
}

/** LOCKED, OVERLOADED, ABSTAINING or NO_QUORUM: whatever kept the quorum from forming. */
export function failedToAcquire(
  plan: AcquisitionPlan,
  ballots: readonly Ballot[],
  why: "refused" | "waited" | "slow",
  waited: number,
): CoterieError {
  const waitedMs = Math.round(waited);
  const { waitMs, resources } = plan;
  const { instances, quorum } = plan.rules;
  const what = describe(resources);
  const votes = votesOf(instances, ballots);
  // Those that have not answered yet are none of the three: the round was decided without them.
  const count = (wanted: Vote): number => ballots.filter(({ vote }) => vote === wanted).length;
  const [granted, refused, unreachable] = [count("granted"), count("refused"), count("unreachable")];
  const details = { granted, refused, unreachable, needed: quorum, waitMs, waitedMs, votes };
  const counted = `${granted} of ${instances.length} instances granted, ${quorum} needed`;
  if (why === "slow") {
    return new CoterieError("NO_QUORUM", `${what}: the answers came too late for its lease (${counted})`, {
      details,
    });
  }
  if (ballots.some(({ isFull }) => isFull)) {
    return new CoterieError("OVERLOADED", `${what}: too many wait for it already (${counted})`, { details });
  }
  if (unreachable > instances.length - quorum) return tooFew(plan, ballots, counted, details);
  const waits = ballots.filter(({ vote }) => vote === "refused").map((ballot) => ballot.waitMs);
  const retryAfterMs = Math.max(1, Math.min(...waits));
  const after = why === "waited" ? `, also after ${details.waitedMs} ms` : "";
  return new CoterieError("LOCKED", `${what}: another holder has it${after} (${counted})`, {
    details: { ...details, ...(Number.isFinite(retryAfterMs) ? { retryAfterMs } : {}) },
  });
}

function tooFew(
  { resources }: AcquisitionPlan,
  ballots: readonly Ballot[],
  counted: string,
  details: Readonly<Record<string, unknown>>,
): CoterieError {
  const what = describe(resources);
  const errors = ballots.flatMap(({ vote, error }) =>
    vote === "unreachable" && error !== undefined ? [error] : [],
  );
  const reasons = errors.map(({ message }) => message).join("; ");
  const lasting = errors.find(({ code }) => code === "CONFIG_MISMATCH" || code === "INSTANCE_REFUSED");
  if (lasting !== undefined) {
    const message = `${what}: ${lasting.message} (${counted})`;
    return new CoterieError(lasting.code, message, { details, cause: lasting });
  }
  const abstaining = errors.filter(({ code }) => code === "ABSTAINING");
  if (abstaining.length > 0) {
    const waits = abstaining.map((error) => Number(error.details["retryAfterMs"] ?? 0));
    const message = `${what}: too few instances may vote yet (${counted}): ${reasons}`;
    return new CoterieError("ABSTAINING", message, {
      details: { ...details, retryAfterMs: Math.max(...waits) },
      cause: abstaining[0],
    });
  }
  return new CoterieError("NO_QUORUM", `${what}: too few instances answered (${counted}): ${reasons}`, {
    details,
    cause: errors[0],
  });
}

/** Why an instance that answered an acquire has neither granted nor refused. */
export function answerError(
  plan: AcquisitionPlan,
  at: number,
  vote: "late" | "full" | "tooLong",
): CoterieError {
  const details = { instance: plan.rules.instances[at] };
  const what = describe(plan.resources);
  if (vote === "full") {
    return new CoterieError("OVERLOADED", `${what}: too many wait for it already`, { details });
  }
  if (vote === "late") {
    return new CoterieError("NO_ANSWER", `${what}: the command came too late and did nothing`, {
      details,
    });
  }
  return new CoterieError("CONFIG_MISMATCH", `${what}: the lease is longer than the group allows`, {
    details,
  });
}
