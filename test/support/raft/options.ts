/**
 * The core's options as words of a transcript: `preVote=on electionTicks=5 reads=lease`. What is not given is
 * plain Raft with short times, so that each transcript turns on what it is about.
 */
import type { PeerOptions } from "./peer.ts";
import type { Words } from "./words.ts";

const SWITCHES = [
  "preVote",
  "checkQuorum",
  "stepDownOnRemoval",
  "forwardProposals",
  "validateChanges",
  "overlapsWrites",
] as const;

const COUNTS = [
  "electionTicks",
  "heartbeatTicks",
  "appendBytesMax",
  "applyingBytesMax",
  "uncommittedBytesMax",
  "inflightMessagesMax",
  "readsMax",
  "snapshotPartsMax",
  "snapshotResendTicks",
] as const;

const PLAIN: PeerOptions = { electionTicks: 3, preVote: false, checkQuorum: false };

type Writable = { -readonly [Name in keyof PeerOptions]: PeerOptions[Name] };

/** Reads all words that are left. */
export function readOptions(words: Words): PeerOptions {
  const options: Writable = { ...PLAIN };
  for (const name of SWITCHES) {
    const value = words.option(name);
    if (value === undefined) continue;
    if (value !== "on" && value !== "off") words.fail(`${name} is on or off, got ${value}`);
    options[name] = value === "on";
  }
  for (const name of COUNTS) {
    const value = words.countOption(name);
    if (value !== undefined) options[name] = value;
  }
  const reads = words.option("reads");
  if (reads === "safe" || reads === "lease") options.reads = reads;
  else if (reads !== undefined) words.fail(`reads is safe or lease, got ${reads}`);
  words.end();
  return options;
}
