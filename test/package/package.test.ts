import { cp, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

import { afterAll, beforeAll, describe, expect, test } from "vitest";

import { type Ended, npm, runNode, script } from "./run.ts";

const CHECKOUT = join(import.meta.dirname, "../..");
/** What the build reads. It is copied, so that nobody's `dist/` is touched and nothing stale is packed. */
const BUILT_FROM = [
  "src",
  "middleware",
  "package.json",
  "tsconfig.json",
  "tsconfig.base.json",
  "README.md",
  "LICENSE",
  "CHANGELOG.md",
];
/** What a user has beside coterie: its peers, and types for the compiler. */
const BESIDE = ["ioredis", "express", "bullmq", "@types/node", "@types/express"];
/** Each entry of `exports`, and names that it must have. */
const ENTRIES: Readonly<Record<string, readonly string[]>> = {
  ".": ["openCoterie", "openShards", "CoterieError", "ERROR_CODES", "defineScript", "systemEnv"],
  "./ring": ["HashRing"],
  "./raft": ["Raft", "MemoryLog", "configOf"],
  "./locks": ["openLocker", "fencedSet"],
  "./redlock": ["default", "Redlock", "Lock", "ExecutionError", "ResourceLockedError"],
  "./express": ["shard", "problems", "withLock", "lockOf"],
  "./bullmq": ["guard", "watch"],
  "./testing": ["startRedis", "SimClock", "seededRandom"],
  "./package.json": ["name", "version", "exports"],
};

interface Manifest {
  readonly exports: Readonly<Record<string, unknown>>;
  readonly scripts: Readonly<Record<string, string>>;
  readonly peerDependencies: Readonly<Record<string, string>>;
}

interface Lock {
  readonly packages: Readonly<Record<string, LockEntry>>;
}

interface LockEntry {
  readonly hasInstallScript?: boolean;
  readonly dependencies?: Readonly<Record<string, string>>;
}

/** Holds all that these tests make; gone afterwards. */
let room: string;
/** An empty project with two copies of the package, from its tarball. */
let app: string;
let manifest: Manifest;

beforeAll(async () => {
  room = await mkdtemp(join(tmpdir(), "coterie-package-"));
  const copy = join(room, "checkout");
  await mkdir(copy);
  for (const name of BUILT_FROM) await cp(join(CHECKOUT, name), join(copy, name), { recursive: true });
  await symlink(join(CHECKOUT, "node_modules"), join(copy, "node_modules"));
  await npm(copy, ["pack", "--pack-destination", room]);

  app = join(room, "app");
  await mkdir(app);
  const tarball = (await readdir(room)).find((name) => name.endsWith(".tgz"));
  const dependencies = { coterie: `file:../${tarball}`, "coterie-copy": `file:../${tarball}` };
  await writeFile(join(app, "package.json"), JSON.stringify({ private: true, dependencies }));
  // The peers are linked below, from here: an install must not need the network.
  await npm(app, [
    "install",
    "--offline",
    "--legacy-peer-deps",
    "--ignore-scripts",
    "--no-audit",
    "--no-fund",
  ]);
  for (const name of BESIDE) {
    const link = join(app, "node_modules", name);
    await mkdir(dirname(link), { recursive: true });
    await symlink(join(CHECKOUT, "node_modules", name), link);
  }
  manifest = await readJson<Manifest>(join(app, "node_modules/coterie/package.json"));
}, 180_000);

afterAll(async () => {
  await rm(room, { recursive: true, force: true });
});

describe("the tarball", () => {
  test("holds the build and what people read, and nothing else", async () => {
    const files = await filesBelow(join(app, "node_modules/coterie"));

    const allowed =
      /^(?:dist\/(?:src|middleware)\/.+\.(?:js|d\.ts)|README\.md|LICENSE|CHANGELOG\.md|package\.json)$/;
    expect(files.filter((file) => !allowed.test(file))).toEqual([]);
    expect(files).toEqual(expect.arrayContaining(["README.md", "LICENSE", "CHANGELOG.md", "package.json"]));
  });

  test("holds code and types for each source file", async () => {
    const files = await filesBelow(join(app, "node_modules/coterie"));
    const sources = [];
    for (const folder of ["src", "middleware"]) {
      for (const file of await filesBelow(join(CHECKOUT, folder))) sources.push(`${folder}/${file}`);
    }

    const built = sources
      .filter((file) => file.endsWith(".ts"))
      .flatMap((file) => [".js", ".d.ts"].map((ending) => `dist/${file.replace(/\.ts$/, ending)}`));
    expect(files.filter((file) => file.startsWith("dist/"))).toEqual(built.toSorted());
  });

  test("runs nothing when it is installed, and neither does what it needs", async () => {
    const { packages } = await readJson<Lock>(join(CHECKOUT, "package-lock.json"));
    const peers = Object.keys(manifest.peerDependencies);

    const running = [...closure(packages, peers)].filter(
      (place) => packages[place]?.hasInstallScript === true,
    );
    expect(running).toEqual([]);
    expect(
      Object.keys(manifest.scripts).filter((name) => /^(?:pre|post)?install$|^prepare$/.test(name)),
    ).toEqual([]);
    expect(manifest).not.toHaveProperty("dependencies");
    expect(manifest).not.toHaveProperty("bundleDependencies");
  });
});

describe("an empty project", () => {
  test("knows every entry of the package by this test", () => {
    expect(Object.keys(manifest.exports).toSorted()).toEqual(Object.keys(ENTRIES).toSorted());
    expect(BESIDE).toEqual(expect.arrayContaining(Object.keys(manifest.peerDependencies)));
  });

  test.each(Object.entries(ENTRIES))(
    "imports and requires %s, and finds the same names",
    async (entry, names) => {
      const specifier = entry.replace(".", "coterie");
      const attributes = entry.endsWith(".json") ? `, { with: { type: "json" } }` : "";

    const imported = await runNode(app, "import.mjs", [
      `const found = await import("${specifier}"${attributes});`,
      `console.log(JSON.stringify(Object.keys(${attributes === "" ? "found" : "found.default"})));`,
    ]);
    const required = await runNode(app, "require.cjs", [
      `console.log(JSON.stringify(Object.keys(require("${specifier}"))));`,
    ]);

    expect(namesIn(imported)).toEqual(expect.arrayContaining([...names]));
    expect(namesIn(required)).toEqual(namesIn(imported));
  });

  test("cannot import what is not an entry", async () => {
    const ended = await runNode(app, "inside.mjs", [
      `const error = await import("coterie/dist/src/errors.js").catch((error) => error);`,
      "console.log(error.code);",
    ]);

    expect(ended.stdout.trim()).toBe("ERR_PACKAGE_PATH_NOT_EXPORTED");
  });

  test("may have two copies of the package that agree on what is a CoterieError", async () => {
    const ended = await runNode(app, "copies.mjs", [
      `import { CoterieError as First } from "coterie";`,
      `import { CoterieError as Second } from "coterie-copy";`,
      `const error = new First("CLOSED", "it is closed");`,
      "console.log(error instanceof Second, Second.is(error), Second.is(new Error()));",
      `console.log(Second.is(error, "CLOSED"), Second.is(error, "ABORTED"));`,
    ]);

    expect(ended.stdout).toBe("false true false\ntrue false\n");
  });
});

describe("a TypeScript project", () => {
  const strict = {
    module: "nodenext",
    target: "es2023",
    lib: ["es2023", "esnext.disposable"],
    types: ["node"],
    strict: true,
    exactOptionalPropertyTypes: true,
    skipLibCheck: false,
    noEmit: true,
  };

  beforeAll(async () => {
    await writeFile(
      join(app, "tsconfig.json"),
      JSON.stringify({ compilerOptions: strict, include: ["consumer.*"] }),
    );
  });

  async function compile(name: string, lines: readonly string[]): Promise<Ended> {
    const path = join(app, name);
    await writeFile(path, lines.join("\n"));
    try {
      return await script(app, join(CHECKOUT, "node_modules/typescript/bin/tsc"), ["-p", "tsconfig.json"]);
    } finally {
      await rm(path);
    }
  }

  test("compiles against every entry, the libraries' own types checked", async () => {
    const ended = await compile("consumer.mts", [
      `import express from "express";`,
      `import { Redis } from "ioredis";`,
      `import { type Coterie, CoterieError, type ErrorCode, openCoterie, openShards } from "coterie";`,
      `import { Worker } from "bullmq";`,
      `import { guard } from "coterie/bullmq";`,
      `import { lockOf, problems, shard, shardOf, withLock } from "coterie/express";`,
      `import Redlock, { type Lock } from "coterie/redlock";`,
      `import { HashRing } from "coterie/ring";`,
      `import { type RedisGroup, seededRandom, startRedis } from "coterie/testing";`,
      "",
      `const instances = ["redis://127.0.0.1", { client: new Redis(), weight: 2 }];`,
      `const coterie: Coterie = await openCoterie({ name: "shop", instances });`,
      "const value: string | null = await coterie.shards.get(Buffer.from([1]));",
      `const app = express().use(shard(coterie, { key: (req) => req.get("x-key") }));`,
      `app.get("/", (req, res) => void res.send(shardOf(req).id + String(req.coterie?.shard?.id)));`,
      `app.put("/", withLock(coterie, { resource: "a" }, (req, res) => res.json(lockOf(req).fencingToken)));`,
      "app.use(problems());",
      `const connection = { host: "127.0.0.1" };`,
      `const locked = guard(coterie, (job, _token, signal) => [job.name, signal], { resource: "a" });`,
      `export const worker = new Worker("queue", locked, { connection });`,
      `const owner: string = new HashRing(["a", "b"]).owner("key");`,
      `const lock: Lock = await new Redlock([new Redis()]).acquire(["key"], 1000);`,
      "const group: RedisGroup = await startRedis({ count: 2 });",
      "const chance: number = seededRandom(7).below(5);",
      "export function codeOf(error: unknown): ErrorCode | undefined {",
      "  return CoterieError.is(error) ? error.code : undefined;",
      "}",
      "export { chance, group, lock, openShards, owner, value };",
    ]);

    expect(ended).toEqual({ code: 0, stdout: "", stderr: "" });
  });

  test("compiles as CommonJS", async () => {
    const ended = await compile("consumer.cts", [
      `import coterie = require("coterie");`,
      `import { default as Redlock, ExecutionError } from "coterie/redlock";`,
      `import ring = require("coterie/ring");`,
      "const isRedlock = (one: unknown): boolean => one instanceof Redlock || one instanceof ExecutionError;",
      `const owner: string = new ring.HashRing(["a"]).owner("key");`,
      "const codes: readonly string[] = coterie.ERROR_CODES;",
      "export = { owner, codes, isRedlock };",
    ]);

    expect(ended).toEqual({ code: 0, stdout: "", stderr: "" });
  });

  test("is told of a wrong option, a wrong code and a name that is not there", async () => {
    const ended = await compile("consumer.mts", [
      `import { CoterieError, openShards } from "coterie";`,
      `await openShards({ instances: [], purpose: "cash" });`,
      `CoterieError.is(1, "CLOSE");`,
      `import { nothing } from "coterie/ring";`,
    ]);

    const codes = [...ended.stdout.matchAll(/consumer\.mts\((?<line>\d)[^:]+: error (?<code>TS\d+)/g)];
    expect(codes.map(({ groups }) => [groups?.["line"], groups?.["code"]])).toEqual([
      ["2", "TS2322"],
      ["3", "TS2345"],
      ["4", "TS2305"],
    ]);
  });
});

/** Without what Node.js adds when CommonJS requires an ES module. */
function namesIn(ended: Ended): string[] {
  const names = JSON.parse(ended.stdout) as string[];
  return names.filter((name) => name !== "module.exports" && name !== "__esModule").toSorted();
}

/** The places in the lock file of these packages and of all that they depend on. */
function closure(
  packages: Lock["packages"],
  names: readonly string[],
  from = "",
  found = new Set<string>(),
): Set<string> {
  for (const name of names) {
    const nested = `${from}/node_modules/${name}`;
    const place = from !== "" && Object.hasOwn(packages, nested) ? nested : `node_modules/${name}`;
    expect(packages).toHaveProperty([place]);
    if (found.has(place)) continue;
    found.add(place);
    closure(packages, Object.keys(packages[place]?.dependencies ?? {}), place, found);
  }
  return found;
}

async function filesBelow(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => join(parentPath, name));
  return files.map((file) => file.slice(folder.length + 1)).toSorted();
}

async function readJson<T>(path: string): Promise<T> {
  return JSON.parse(await readFile(path, "utf8")) as T;
}
