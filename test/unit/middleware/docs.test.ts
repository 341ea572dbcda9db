/** The tables in the documents of the middleware have every option, and the defaults that apply. */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

import { expect, test } from "vitest";

import { guard } from "../../../middleware/bullmq/index.ts";
import { readGuardOptions } from "../../../middleware/bullmq/options.ts";
import { withLock } from "../../../middleware/express/index.ts";
import { rejection } from "../../support/reject.ts";

const UNKNOWN = { resource: "a", unknown: 1 };
const locks = { locks: { acquire: () => undefined } } as never;

/** From the names of the options in a section of the page to their defaults as told. */
function tableIn(page: string, heading: string): Map<string, string> {
  const text = readFileSync(fileURLToPath(new URL(`../../../docs/${page}`, import.meta.url)), "utf8");
  const start = text.indexOf(heading);
  expect(start, `${page} has ${heading}`).toBeGreaterThanOrEqual(0);
  const end = text.indexOf("\n## ", start + heading.length);
  const section = text.slice(start, end < 0 ? undefined : end);
  const rows = [...section.matchAll(/^\| `(\w+)` \|.*\|(.*)\|$/gm)];
  return new Map(rows.map(([, name = "", told = ""]) => [name, told.replaceAll(/[`"]/g, "").trim()]));
}

test("docs/express.md tells every option of withLock", async () => {
  const { details } = await rejection(() => withLock(locks, UNKNOWN, () => 1), "INVALID_OPTION");

  const table = tableIn("express.md", "## `withLock(");
  expect([...table.keys()]).toEqual(details["known"]);
});

test("docs/bullmq.md tells every option of guard, and its default", async () => {
  const { details } = await rejection(() => guard(locks, () => 1, UNKNOWN), "INVALID_OPTION");

  const table = tableIn("bullmq.md", "## Options");
  expect([...table.keys()].toSorted()).toEqual((details["known"] as string[]).toSorted());
  const { resource: _resource, ...defaults } = readGuardOptions({ resource: "a" });
  const told = Object.keys(defaults).map((name) => [name, table.get(name)]);
  expect(told).toEqual(Object.entries(defaults).map(([name, value]) => [name, String(value)]));
});
