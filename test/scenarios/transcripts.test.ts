/**
 * Every transcript below this folder says what happens now. When the core is meant to behave differently,
 * `COTERIE_REWRITE=1 npx vitest run test/scenarios` writes the new text, and the diff is read.
 */
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { describe, expect, test } from "vitest";

import { runTranscript } from "../support/raft/transcript.ts";

const FOLDER = import.meta.dirname;
const isRewriting = process.env["COTERIE_REWRITE"] === "1";

const names = readdirSync(FOLDER, { recursive: true, encoding: "utf8" })
  .filter((name) => name.endsWith(".txt"))
  .toSorted();

describe("a transcript is what happens", () => {
  test.each(names)("%s", (name) => {
    const path = join(FOLDER, name);

    const now = runTranscript(`test/scenarios/${name}`, readFileSync(path, "utf8"));
    if (isRewriting) writeFileSync(path, now);

    expect(now).toBe(readFileSync(path, "utf8"));
  });

  test.each(names)("%s opens with what it shows", (name) => {
    expect(readFileSync(join(FOLDER, name), "utf8")).toMatch(/^# [A-Z]/);
  });
});

describe("a mistake in a transcript names file and line", () => {
  test.each([
    ["an unknown command", "add-peers 1\n\nelect 1\n", "a.txt:3: elect: there is no such command"],
    ["a peer that is not there", "add-peers 1\ncampaign 2\n", "a.txt:2: there is no peer 2"],
    ["a number that is none", "add-peers some\n", "a.txt:1: add-peers: how many is a whole number from 1"],
    ["a missing argument", "add-peers 1\npropose 1\n", "a.txt:2: propose: a command is missing"],
    ["a word too many", "add-peers 1\nheal now\n", "a.txt:2: heal: now means nothing here"],
    ["an unknown option", "add-peers 1 turbo=on\n", "a.txt:1: add-peers: turbo=on means nothing here"],
    ["an option's value", "add-peers 1 preVote=yes\n", "a.txt:1: add-peers: preVote is on or off, got yes"],
    ["an unknown type", "add-peers 1\ndrop 1 type=gossip\n", "a.txt:2: drop: there is no type of message"],
    ["an unknown change", "add-peers 1\nchange 1 boss=2\n", "a.txt:2: change: a change is voter, learner"],
    ["half a partition", "add-peers 2\npartition 1 2\n", "a.txt:2: partition: groups are divided by |"],
    ["a peer that is down", "add-peers 1\ncrash 1\ntick all\ncampaign 1\n", "a.txt:4: peer 1 is down"],
    ["output without a command", "# Nothing.\n  1 is leader\n", "a.txt:2: output without a command"],
  ])("%s", (_, text, problem) => {
    expect(() => runTranscript("a.txt", text)).toThrow(problem);
  });
});
