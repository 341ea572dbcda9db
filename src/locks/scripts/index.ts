/** The scripts as the server runs them. */
import { defineScript, type Script } from "../../redis/index.ts";
import {
  batchNSource,
  boot1Source,
  inspect3Source,
  note2Source,
  permits1Source,
  readmit3Source,
  regroup3Source,
  source3Source,
  sweepNSource,
} from "./generated.ts";

/** Everything that one client wants of one instance in one turn. Any number of keys. */
export const BATCH: Script = defineScript({ name: "locks-batch", source: batchNSource });

/** One instance's view of a lock. */
export const INSPECT: Script = defineScript({ name: "locks-inspect", keyCount: 3, source: inspect3Source });

/** How many permits a semaphore has. */
export const PERMITS: Script = defineScript({ name: "locks-permits", keyCount: 1, source: permits1Source });

/** Compare-and-set of the boot record. */
export const BOOT: Script = defineScript({ name: "locks-boot", keyCount: 1, source: boot1Source });

/** Counters and known run ids of a member, for another one. */
export const SOURCE: Script = defineScript({ name: "locks-source", keyCount: 3, source: source3Source });

/** Notes who the others are. */
export const NOTE: Script = defineScript({ name: "locks-note", keyCount: 2, source: note2Source });

/** Raises counters and, if told so, makes a member. */
export const READMIT: Script = defineScript({ name: "locks-readmit", keyCount: 3, source: readmit3Source });

/** Takes away locks that nobody may hold any more. */
export const SWEEP: Script = defineScript({ name: "locks-sweep", source: sweepNSource });

/** Hands an instance over to the group in which one member was replaced. */
export const REGROUP: Script = defineScript({ name: "locks-regroup", keyCount: 3, source: regroup3Source });
