import { describe, expect, test } from "vitest";

import { quoted, renderConfig, requireConfig } from "../../../src/testing/redis/config.ts";

describe("the redis.conf of an instance", () => {
  test("has safe defaults, the caller's directives over them, and the helper's own over both", () => {
    const text = renderConfig({ appendonly: true, maxmemory: "10mb" }, { port: 7000 });

    expect(text.split("\n")).toEqual([
      'save ""',
      "appendonly yes",
      "maxmemory-policy noeviction",
      "maxmemory 10mb",
      "port 7000",
      "",
    ]);
  });

  test("has a value of several words as it stands in any redis.conf", () => {
    expect(renderConfig({ save: "900 1" }, {})).toContain("save 900 1\n");
  });

  test("takes directives in any case, once", () => {
    expect(renderConfig(requireConfig({ AppendOnly: true }), {})).toContain("appendonly yes\n");
    expect(renderConfig(requireConfig({ AppendOnly: true }), {})).not.toContain("appendonly no");
  });

  test.each([["port"], ["Port"], ["bind"], ["dir"], ["daemonize"], ["include"], ["logfile"]])(
    "refuses %s, which the helper sets itself",
    (directive) => {
      expect(() => requireConfig({ [directive]: "1" })).toThrow(
        expect.objectContaining({ code: "INVALID_OPTION" }),
      );
    },
  );

  test.each([["a\nport 1"], ["a\rport 1"], ["a\u0000b"]])(
    "refuses a value that would end its line: %j",
    (value) => {
      expect(() => requireConfig({ requirepass: value })).toThrow(
        expect.objectContaining({ code: "INVALID_OPTION" }),
      );
    },
  );

  test("never tells a value that it refuses: it may be a password", () => {
    expect(() => requireConfig({ requirepass: "s3cret\n" })).toThrow(
      expect.objectContaining({ message: expect.not.stringContaining("s3cret") as string }),
    );
  });

  test("quotes what may hold blanks, quotes and backslashes", () => {
    expect(quoted('a "b" \\c')).toBe('"a \\"b\\" \\\\c"');
  });
});
