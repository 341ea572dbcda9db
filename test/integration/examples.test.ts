/**
 * Every example runs on real Redis, and the README and docs show code of examples and nothing else: a
 * block in a page stands, word for word, in the file that the comment above it names.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

import request from "supertest";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";

import { openCoterie, openShards } from "../../src/index.ts";
import { DEFAULT_INSTANCE_SETTINGS } from "../../src/redis/index.ts";
import { SHARE_RATIO_MAX } from "../../src/ring/index.ts";
import { type RedisGroup, startRedis } from "../../src/testing/index.ts";
import { Program } from "../support/program.ts";
import { rejection } from "../support/reject.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const README = read("README.md");
/** The pages whose code is shown to be that of examples. */
const PAGES = ["README.md", "docs/express.md", "docs/bullmq.md", "docs/fencing.md"];

let redis: RedisGroup;
const started: Program[] = [];

beforeAll(async () => {
  redis = await startRedis({ count: 3 });
});
afterEach(() => {
  for (const program of started.splice(0)) program.destroy();
});
afterAll(() => redis.stop());

function run(path: string, variables: Readonly<Record<string, string>> = {}): Program {
  const program = new Program([path], { ...variables, REDIS_URLS: redis.urls.join(",") });
  started.push(program);
  return program;
}

function read(path: string): string {
  return readFileSync(join(ROOT, path), "utf8");
}

interface Block {
  /** The file that the comment above it names. */
  readonly source: string | undefined;
  readonly language: string;
  readonly code: string;
  readonly line: number;
}

function blocksIn(page: string): Block[] {
  const fence = /(?:<!-- (\S+) -->\n)?^```(\w*)\n([\s\S]*?)^```$/gm;
  return [...page.matchAll(fence)].map(({ 0: all, 1: source, 2: language = "", 3: code = "", index }) => {
    const line = page.slice(0, index + all.indexOf("```")).split("\n").length;
    return { source, language, code, line };
  });
}

const isCode = ({ language }: Block) => ["js", "mjs", "ts"].includes(language);

describe("examples", () => {
  test("first.mjs counts under a lock, and says which Redis has the count and by which token", async () => {
    const outputs: string[] = [];
    for (let n = 0; n < 2; n += 1) {
      const program = run("examples/first.mjs");
      expect(await program.ended).toEqual({ code: 0, signal: null });
      outputs.push(program.output);
    }

    const sentence = /^cart:7, on (\S+), has (\d+) apples, by token (\d+)\n$/;
    const said = outputs.map((output) => sentence.exec(output)!);
    expect(said.map(([, , apples]) => apples)).toEqual(["1", "2"]);
    expect(Number(said[1]![3])).toBeGreaterThan(Number(said[0]![3]));
    const shards = await openShards({ instances: redis.urls });
    expect(said[0]![1]).toBe(shards.for("cart:7").id);
    expect(await shards.get("cart:7")).toBe("2");
    await shards.close();
  });

  test("cache.ts asks the database once, and once more on the next Redis when the first is dead", async () => {
    const shards = await openShards({ instances: redis.urls });
    const { id } = shards.for("user:7");
    await shards.close();
    const owner = redis.instances.find(({ port }) => id.endsWith(`:${port}`))!;

    const program = run(".build/examples/cache.js");
    expect(await program.ended).toEqual({ code: 0, signal: null });
    await owner.kill();
    const again = run(".build/examples/cache.js");
    expect(await again.ended).toEqual({ code: 0, signal: null });
    await owner.restart();

    const once = "Ann (from the database)\nAnn (from the cache)\n";
    expect([program.output, again.output]).toEqual([once, once]);
  });

  test("express-app.ts stores and gives items, refuses what has no key, and ends in order", async () => {
    const program = run(".build/examples/express-app.js", { PORT: "0" });
    await program.printed("listening on ");
    const url = /listening on (\S+)/.exec(program.output)?.[1] ?? "";
    const app = request(url);

    const put = await app.put("/items/7").set("content-type", "text/plain").send("3 apples");
    const got = await app.get("/items/7");
    const absent = await app.get("/items/nothing");
    const tooLong = await app.get(`/items/${"x".repeat(2000)}`);
    program.signal("SIGTERM");

    expect([put.status, got.status, got.text, absent.status]).toEqual([204, 200, "3 apples", 404]);
    expect([tooLong.status, tooLong.body.code]).toEqual([400, "INVALID_KEY"]);
    expect(await program.ended).toEqual({ code: 0, signal: null });
  });

  test("express-app.ts answers for a dead Redis with 503", async () => {
    const program = run(".build/examples/express-app.js", { PORT: "0" });
    await program.printed("listening on ");
    const app = request(/listening on (\S+)/.exec(program.output)?.[1] ?? "");
    const [dead] = redis.instances;
    await dead!.kill();

    const answers = await Promise.all(Array.from({ length: 30 }, (_, n) => app.get(`/items/absent-${n}`)));
    await dead!.restart();
    program.signal("SIGTERM");

    const statuses = answers.map(({ status }) => status);
    expect(new Set(statuses)).toEqual(new Set([404, 503]));
    const refused = answers.filter(({ status }) => status === 503);
    expect(refused.map(({ headers }) => headers["retry-after"])).toEqual(refused.map(() => "1"));
    expect(await program.ended).toEqual({ code: 0, signal: null });
  });

  test("fencing.ts refuses the late write of a holder that was stopped beyond its lease", async () => {
    const program = run(".build/examples/fencing.js");

    expect(await program.ended).toEqual({ code: 0, signal: null });
    expect(program.output.split("\n")).toEqual([
      "the sleeper holds the lock, and is stopped",
      "after its lease another holder's write was made",
      "the sleeper's write was refused; it had lost its lock: true",
      "invoice:7 is paid by the other",
      "",
    ]);
    expect(await program.leftovers()).toEqual([]);
    expect(read("docs/fencing.md")).toContain(`\n\`\`\`\n${program.output}\`\`\`\n`);
  });

  test("express-lock.ts loses no increment of two processes", async () => {
    const programs = [1, 2].map(() => run(".build/examples/express-lock.js", { PORT: "0" }));
    for (const program of programs) await program.printed("listening on ");
    const apps = programs.map(({ output }) => request(/listening on (\S+)/.exec(output)?.[1] ?? ""));

    const asked = Array.from({ length: 30 }, (_, n) => apps[n % 2]!.post("/counters/visits"));
    const answers = await Promise.all(asked);
    const counts = answers.map(({ body }) => (body as { readonly count: number }).count);
    for (const program of programs) program.signal("SIGTERM");

    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
    expect(counts.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 30 }, (_, n) => n + 1));
    for (const program of programs) expect(await program.ended).toEqual({ code: 0, signal: null });
  });

  test("bullmq-worker.ts charges each account what it was charged", async () => {
    const program = run(".build/examples/bullmq-worker.js");

    expect(await program.ended).toEqual({ code: 0, signal: null });
    expect(program.output).toBe("ann has 30\nbob has 20\n");
  });

  test("each file of examples is run by a test", () => {
    const files = readdirSync(join(ROOT, "examples")).filter((name) => /\.m?[jt]s$/.test(name));

    expect(files.toSorted()).toEqual([
      "bullmq-worker.ts",
      "cache.ts",
      "express-app.ts",
      "express-lock.ts",
      "fencing.ts",
      "first.mjs",
    ]);
  });
});

describe.each(PAGES)("%s", (path) => {
  const page = read(path);

  test("its code is that of the examples, word for word", () => {
    const blocks = blocksIn(page).filter(isCode);

    expect(blocks).not.toEqual([]);
    for (const { source, code, line } of blocks) {
      expect(source, `the block in line ${line} names its example in a comment above`).toBeDefined();
      const file = read(source!);
      const indented = code.replaceAll(/^(?=.)/gm, "  ");
      const stands = file.includes(code) || file.includes(indented);
      expect(stands, `line ${line} stands in ${source}:\n${code}`).toBe(true);
    }
  });

  test("every page that it links to is there", () => {
    const links = [...page.matchAll(/\]\((?!https?:|#)([^)#]+)(?:#[^)]*)?\)/g)].map(([, link = ""]) => link);

    expect(links.filter((link) => !existsSync(join(ROOT, dirname(path), link)))).toEqual([]);
  });
});

describe("README.md", () => {
  test("code begins by line 15, and runs as it stands", () => {
    const first = blocksIn(README).find(isCode);

    expect(first!.line).toBeLessThanOrEqual(15);
    expect(first).toMatchObject({ source: "examples/first.mjs", language: "js" });
    expect(first!.code).toBe(read("examples/first.mjs"));
  });

  test("the two commands of a newcomer stand on the first screen", () => {
    const screen = README.split("\n").slice(0, 40).join("\n");

    expect(screen).toContain("\nnpm ci && npm run demo");
    expect(screen).toContain("\nnpm ci && npm test");
  });

  test("every npm script that it names exists", () => {
    const { scripts } = JSON.parse(read("package.json")) as { scripts: Record<string, string> };
    const named = [...README.matchAll(/npm run ([\w:-]+)/g)].map(([, name = ""]) => name);

    expect(named).not.toEqual([]);
    expect(named.filter((name) => !(name in scripts))).toEqual([]);
  });

  test("its tables of options have every option of openCoterie and openShards, with the right default", async () => {
    const rows = README.split("\n").filter((line) => /^\| `(shards\.)?\w+` \|/.test(line));
    const options = new Map(rows.map((row) => [/`([\w.]+)`/.exec(row)![1]!, row.split("|").at(-2)!.trim()]));

    const unknown = { unknown: 1 } as never;
    const top = await rejection(() => openCoterie(unknown), "INVALID_OPTION");
    const inner = await rejection(() => openShards(unknown), "INVALID_OPTION");
    const names = [
      ...(top.details["known"] as string[]),
      ...(inner.details["known"] as string[])
        .filter((name) => !["instances", "signal", "env"].includes(name))
        .map((name) => `shards.${name}`),
    ];

    expect([...options.keys()].toSorted()).toEqual(names.toSorted());
    const defaults = { ...DEFAULT_INSTANCE_SETTINGS, shareRatioMax: SHARE_RATIO_MAX, purpose: "store" };
    const told = Object.keys(defaults).map((option) => {
      const fallback = options.get(`shards.${option}`)!.replaceAll(/[`,]/g, "");
      return [option, JSON.parse(fallback) as unknown];
    });
    expect(Object.fromEntries(told)).toEqual(defaults);
  });
});
