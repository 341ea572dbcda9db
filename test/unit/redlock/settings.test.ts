import { describe, expect, test } from "vitest";

import { CoterieError } from "../../../src/errors.ts";
import {
  DEFAULT_SETTINGS,
  mergeSettings,
  readSettings,
  refuseScripts,
  retryPauseMs,
  waitBudgetMs,
} from "../../../src/redlock/settings.ts";
import { rejection } from "../../support/reject.ts";

describe("settings", () => {
  test("have redlock's defaults", () => {
    expect(readSettings({})).toEqual({
      driftFactor: 0.01,
      retryCount: 10,
      retryDelay: 200,
      retryJitter: 100,
      automaticExtensionThreshold: 500,
      locker: {},
    });
  });

  test("of one call go over those of the constructor, and nothing else changes", () => {
    const base = { ...DEFAULT_SETTINGS, retryCount: 3, retryDelay: 5 };

    expect(mergeSettings("acquire", base, { retryCount: 0 })).toEqual({ ...base, retryCount: 0 });
    expect(mergeSettings("acquire", base, { retryDelay: undefined })).toEqual(base);
    expect(mergeSettings("acquire", base, undefined)).toBe(base);
  });

  test.each([
    [{ retryCount: -2 }, "retryCount must be an integer of at least 0, or -1"],
    [{ retryCount: 1.5 }, "retryCount"],
    [{ retryCount: "10" }, 'got "10"'],
    [{ retryDelay: Number.NaN }, "retryDelay"],
    [{ retryJitter: -1 }, "retryJitter"],
    [{ driftFactor: 1 }, "driftFactor"],
    [{ automaticExtensionThreshold: null }, "automaticExtensionThreshold"],
    [{ quorum: 1 }, 'unknown option "quorum"'],
    [{ locker: { instances: [] } }, "locker must be an object"],
    [() => undefined, "options must be an object"],
  ])("that redlock ignored without a word are an error: %j", async (given, text) => {
    const error = await rejection(() => readSettings(given), "INVALID_OPTION");

    expect(error.message).toContain(text);
  });

  test("B11: scripts of the caller's own are an error, given as text or as a function", async () => {
    for (const script of ["return 1", () => "return 1", 7]) {
      const error = await rejection(() => refuseScripts({ acquireScript: script }), "INVALID_OPTION");
      expect(error.message).toContain("scripts.acquireScript cannot be used");
    }
    await rejection(() => refuseScripts({ lockScript: undefined }), "INVALID_OPTION");
    await rejection(() => refuseScripts("return 1"), "INVALID_OPTION");

    refuseScripts({ acquireScript: undefined });
    refuseScripts(undefined);
  });
});

describe("retries", () => {
  test("together are the time that a caller is ready to wait", () => {
    expect(waitBudgetMs(DEFAULT_SETTINGS)).toBe(2500);
    expect(waitBudgetMs({ ...DEFAULT_SETTINGS, retryCount: 0 })).toBe(0);
    expect(waitBudgetMs({ ...DEFAULT_SETTINGS, retryCount: -1 })).toBe(Infinity);
    expect(waitBudgetMs({ ...DEFAULT_SETTINGS, retryCount: Infinity })).toBe(Infinity);
    expect(waitBudgetMs({ ...DEFAULT_SETTINGS, retryCount: 4, retryDelay: 0, retryJitter: 0 })).toBe(4);
  });

  test("pause for the delay and the jitter to either side, and never for nothing", () => {
    expect(retryPauseMs(DEFAULT_SETTINGS, 0)).toBe(100);
    expect(retryPauseMs(DEFAULT_SETTINGS, 0.5)).toBe(200);
    expect(retryPauseMs(DEFAULT_SETTINGS, 1)).toBe(300);
    expect(retryPauseMs({ ...DEFAULT_SETTINGS, retryDelay: 0 }, 0)).toBe(1);
  });
});

test("an invalid setting is a CoterieError, and an Error as with redlock", () => {
  expect(() => readSettings({ retryCount: "a" })).toThrow(Error);
  expect(() => readSettings({ retryCount: "a" })).toThrow(CoterieError);
});
