/** The Lua text that is published is the text of the scripts. */
import { readFileSync } from "node:fs";
import { join } from "node:path";

import { expect, test } from "vitest";

import { embeddedLua, GENERATED } from "../../scripts/embed-lua.ts";
import { ROOT } from "./tree.ts";

test("the embedded scripts are those of the folder; else run npm run embed-lua", () => {
  expect(readFileSync(join(ROOT, GENERATED), "utf8")).toBe(embeddedLua(ROOT));
});
