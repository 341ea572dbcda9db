/** Every bad argument and option is refused at once, with a code and a sentence that quotes it. */
import { describe, expect, test } from "vitest";

import { HashRing } from "../../../src/ring/index.ts";
import { rejection } from "../../support/reject.ts";

const ring = new HashRing(["a", "b", "c"]);

describe("members", () => {
  test.each([
    ["no list", undefined, /members must be an array, got undefined/],
    ["one id", "a", /members must be an array, got "a"/],
    ["an empty list", [], /at least one member, got none/],
    ["a repeated id", ["a", "b", { id: "a" }], /the id "a" is given twice/],
    ["an empty id", [""], /member 0: id must be text of 1 to 512 characters, got ""/],
    ["an id of 513 characters", ["x".repeat(513)], /member 0: id must be text of 1 to 512 characters/],
    ["a number", ["a", 7], /member 1 must be an id or \{ id, weight, zone \}, got 7/],
    ["null", [null], /member 0 must be an id/],
    ["an array", [["a"]], /member 0 must be an id/],
    ["a hole", Array.from({ length: 1 }), /member 0 must be an id .* got undefined/],
    ["a member without an id", [{ weight: 1 }], /member 0: id must be text .* got undefined/],
    ["an unknown field", [{ id: "a", wieght: 2 }], /unknown field "wieght" \(known: id, weight, zone\)/],
    ["weight 0", [{ id: "a", weight: 0 }], /member 0: weight must be a finite number above 0, got 0/],
    ["a negative weight", [{ id: "a", weight: -1 }], /above 0, got -1/],
    ["weight NaN", [{ id: "a", weight: Number.NaN }], /above 0, got NaN/],
    ["weight Infinity", [{ id: "a", weight: Number.POSITIVE_INFINITY }], /above 0, got Infinity/],
    ["a weight in a string", [{ id: "a", weight: "2" }], /above 0, got "2"/],
    ["weight null", [{ id: "a", weight: null }], /above 0, got null/],
    ["a zone that is no text", [{ id: "a", zone: 3 }], /member 0: zone must be text .* got 3/],
    ["16,385 members", Array.from({ length: 16_385 }, (_, i) => `m${i}`), /at most 16384 members, got 16385/],
  ])("%s is refused", async (_, members, message) => {
    const error = await rejection(() => new HashRing(members as never), "INVALID_ARGUMENT");

    expect(error.message).toMatch(message);
    const again = await rejection(() => ring.rebalance(members as never), "INVALID_ARGUMENT");
    expect(again.message).toBe(error.message);
  });

  test("an explicit undefined is the default", () => {
    const given = new HashRing([{ id: "a", weight: undefined, zone: undefined } as never]);

    expect(given.members).toEqual([{ id: "a", weight: 1 }]);
  });

  test("ids that other objects would stumble over are ids", () => {
    const ids = ["__proto__", "constructor", "toString", " ", "😀", "\ud800"].toSorted();
    const odd = new HashRing(ids);

    expect(odd.members.map(({ id }) => id)).toEqual(ids);
    expect([...odd.shares().keys()]).toEqual(ids);
    expect(HashRing.from(JSON.stringify(odd)).owner("k")).toBe(odd.owner("k"));
  });

  test("the ring keeps no hold of what it was given", () => {
    const members = [{ id: "a", weight: 1 }, { id: "b", weight: 1 }];
    const given = new HashRing(members);
    members[0]!.weight = 100;
    members.pop();

    expect(given.members).toEqual([{ id: "a", weight: 1 }, { id: "b", weight: 1 }]);
    expect(() => (given.members as unknown[]).push({ id: "c" })).toThrow(TypeError);
  });
});

describe("options", () => {
  test.each([
    ["a layout nobody has", { layout: "rings" }, /layout must be one of "arcs", .*"jump", got "rings"/],
    ["an unknown option", { replicas: 3 }, /unknown option "replicas" \(known: layout, shareRatioMax\)/],
    ["an option of another layout", { layout: "jump", tableSize: 7 }, /unknown option "tableSize"/],
    ["a string", "arcs", /options must be an object, got a string/],
    ["null", null, /options must be an object, got null/],
    ["shareRatioMax below 1", { shareRatioMax: 0.99 }, /shareRatioMax must be a number from 1 to 16384,/],
    ["shareRatioMax NaN", { shareRatioMax: Number.NaN }, /shareRatioMax .* got NaN/],
    ["shareRatioMax in a string", { shareRatioMax: "1.05" }, /shareRatioMax .* got "1.05"/],
    ["no points", { layout: "points", pointsPerWeight: 0 }, /pointsPerWeight must be a number above 0/],
    ["a table of no prime size", { layout: "maglev", tableSize: 65_536 }, /tableSize must be a prime/],
    ["a table of size 1.5", { layout: "maglev", tableSize: 1.5 }, /tableSize must be a prime/],
    ["an unknown hash", { layout: "ketama", hash: "sha1" }, /hash must be one of md5, .* got "sha1"/],
    ["an unknown program", { layout: "ketama", compat: "nginx" }, /compat must be one of "libketama"/],
    ["a tag of one character", { layout: "ketama", hashTag: "{" }, /hashTag must be two printable/],
    ["a tag beyond ASCII", { layout: "ketama", hashTag: "«»" }, /hashTag must be two printable/],
    ["a port beyond 65535", { layout: "ketama", defaultPort: 65_536 }, /defaultPort must be an/],
    ["five points in a group", { layout: "ketama", pointsPerGroup: 5 }, /pointsPerGroup .* 1 to 4, got 5/],
  ])("%s is refused", async (_, options, message) => {
    const error = await rejection(() => new HashRing(["a"], options as never), "INVALID_OPTION");

    expect(error.message).toMatch(/^ring: /);
    expect(error.message).toMatch(message);
  });

  test("an explicit undefined is the default", () => {
    const given = new HashRing(["a", "b"], { layout: undefined, shareRatioMax: undefined });

    expect(given.toJSON()).toEqual(new HashRing(["a", "b"]).toJSON());
  });

  test.each([
    ["too many points", [{ id: "a", weight: 1e9 }], { layout: "points" }, /and 4194304 are/],
    ["fewer entries than members", ["a", "b", "c"], { layout: "maglev", tableSize: 2 }, /3 members need/],
    ["weights for jump", ["a", { id: "b", weight: 2 }], { layout: "jump" }, /knows no weights/],
    ["a name nutcracker cuts", ["x".repeat(81)], { layout: "ketama", compat: "nutcracker" }, /names at 80/],
  ] as const)("%s are refused", async (_, members, options, message) => {
    const error = await rejection(() => new HashRing(members, options), "INVALID_ARGUMENT");

    expect(error.message).toMatch(message);
  });

  test("more points than a process can hold are refused before the first is made", async () => {
    const options = { layout: "ketama", groupsPerMember: 10_000 };
    const members = Array.from({ length: 1_500 }, (_, i) => `m${i}`);
    const error = await rejection(() => HashRing.from({ version: 1, members, options }), "INVALID_ARGUMENT");

    expect(error.message).toMatch(/ask for \d{8} points, and 4194304 are allowed: lower groupsPerMember/);
  });

  const equal = (count: number, weight = 1) =>
    Array.from({ length: count }, (_, i) => ({ id: `m${i}`, weight }));
  test.each([
    ["41 members with a group each", equal(41), { groupsPerMember: 1 }],
    ["49 of them in doubles", equal(49), { compat: "hashring", groupsPerMember: 1 }],
    ["a weight above float32", equal(2, 1e300), {}],
    ["a weight below float32", equal(2, 5e-324), { compat: "nutcracker" }],
    ["weights whose sum is above doubles", equal(2, 1e308), { compat: "hashring" }],
  ] as const)("%s, which leaves ketama without a point, is refused", async (_, members, options) => {
    const make = () => new HashRing(members, { layout: "ketama", ...options });
    const error = await rejection(make, "INVALID_ARGUMENT");

    expect(error.message).toMatch(/no member gets a point by the arithmetic of/);
  });
});

describe("calls", () => {
  const layouts = ["arcs", "points", "ketama", "maglev", "jump"] as const;

  test.each(layouts)("in layout %s a key is text or bytes", async (layout) => {
    const other = new HashRing(["a", "b"], { layout });
    for (const key of [undefined, null, 7, {}, new Uint16Array(1)] as never[]) {
      for (const call of [
        () => other.owner(key),
        () => other.ownerIndex(key),
        () => other.owners(key, 1),
        () => other.ownerWithin(key, new Map()),
      ]) {
        const error = await rejection(call, "INVALID_ARGUMENT");
        expect(error.message).toMatch(/^ring: a key must be a string or/);
      }
    }
  });

  test.each([0, 4, -1, 1.5, Number.NaN, "2", undefined])("owners of count %s are refused", async (count) => {
    const error = await rejection(() => ring.owners("k", count as never), "INVALID_ARGUMENT");

    expect(error.message).toMatch(/count must be from 1 to 3, the number of members, got/);
  });

  test("owners and ownerWithin refuse options they do not know", async () => {
    await rejection(() => ring.owners("k", 1, { zones: true } as never), "INVALID_OPTION");
    await rejection(() => ring.owners("k", 1, { distinctZones: 1 } as never), "INVALID_OPTION");
    await rejection(() => ring.ownerWithin("k", new Map(), { loadRatioMax: 0.9 }), "INVALID_OPTION");
  });

  test.each([-1, Number.NaN, Number.POSITIVE_INFINITY, "3", null])("a load of %s is none", async (load) => {
    const error = await rejection(() => ring.ownerWithin("k", () => load as never), "INVALID_ARGUMENT");

    expect(error.message).toMatch(/the load of "a" must be a number from 0, got/);
  });

  test("what is of another kind altogether is refused and quoted", async () => {
    for (const [call, message] of [
      [() => ring.ownerWithin("k", { a: 1 } as never), /loads must be a Map or a function, got \{"a":1\}/],
      [() => ring.ownerWithin("k", undefined as never), /a Map or a function, got undefined/],
      [() => HashRing.fromArcs(["a"], {} as never), /ownerOfArc must be a function, got \{\}/],
      [() => ring.movement({} as never), /next must be a HashRing, got \{\}/],
    ] as const) {
      expect((await rejection(call, "INVALID_ARGUMENT")).message).toMatch(message);
    }
  });

  test("without refuses an id that is not there, and the last member", async () => {
    const error = await rejection(() => ring.without("d"), "INVALID_ARGUMENT");

    expect(error.message).toMatch(/"d" is not a member/);
    await rejection(() => new HashRing(["a"]).without("a"), "INVALID_ARGUMENT");
  });

  test("with refuses what is no member", async () => {
    for (const member of [undefined, null, 7, {}, { id: "d", weight: 0 }]) {
      await rejection(() => ring.with(member as never), "INVALID_ARGUMENT");
    }
  });

  test("movement refuses a ring that hashes keys differently", async () => {
    const other = new HashRing(["a"], { layout: "jump" });
    const error = await rejection(() => ring.movement(other), "INVALID_ARGUMENT");

    expect(error.message).toMatch(/hash keys differently: crc16\/16384, own\/64/);
  });

  test("ownerOfArc refuses what is no arc, and a layout that has none", async () => {
    for (const arc of [-1, 16_384, 0.5, Number.NaN, "0", undefined]) {
      await rejection(() => ring.ownerOfArc(arc as never), "INVALID_ARGUMENT");
    }
    await rejection(() => new HashRing(["a"], { layout: "jump" }).ownerOfArc(0), "INVALID_ARGUMENT");
  });

  test("fromArcs refuses an owner that is no member, and other layouts", async () => {
    const error = await rejection(() => HashRing.fromArcs(["a"], () => "b"), "INVALID_ARGUMENT");

    expect(error.message).toMatch(/the owner of arc 0, "b", is not a member/);
    await rejection(() => HashRing.fromArcs(["a"], () => "a", { layout: "jump" }), "INVALID_ARGUMENT");
  });
});

describe("JSON", () => {
  const good = ring.toJSON() as unknown as Record<string, unknown>;
  const arcs = good["arcs"] as string;
  const jump = new HashRing(["a", "b", "c"], { layout: "jump" }).toJSON();

  test.each([
    ["text that does not parse", "{", /the text does not parse/],
    ["nothing", undefined, /must be an object, got undefined/],
    ["an array", [good], /must be an object/],
    ["no version", { ...good, version: undefined }, /version undefined is not known/],
    ["a later version", { ...good, version: 2 }, /version 2 is not known, only 1 is/],
    ["a version in a string", { ...good, version: "1" }, /version "1" is not known/],
    ["a version by inheritance", Object.create(good), /version undefined is not known/],
    ["an unknown field", { ...good, epoch: 1 }, /unknown field "epoch"/],
    ["a prototype", `{"__proto__":{},${JSON.stringify(good).slice(1)}`, /unknown field "__proto__"/],
    ["no members", { ...good, members: undefined }, /belongs to member|members must be an array/],
    ["an empty member list", { ...good, members: [] }, /belongs to member/],
    ["repeated members", { ...good, members: ["a", "a", "b"] }, /given twice/],
    ["members out of order", { ...good, members: ["b", "a", "c"] }, /members must be in order of id/],
    ["fewer members than the table knows", { ...good, members: ["a", "b"] }, /belongs to member 2 of 2/],
    ["a hostile member", { ...good, members: ["a", "b", { id: "c", weight: -1 }] }, /weight must be/],
    ["no options", { ...good, options: undefined }, /options must be an object, got undefined/],
    ["unknown options", { ...good, options: { layout: "arcs", salt: 1 } }, /unknown option "salt"/],
    ["an unknown layout", { ...good, options: { layout: "x" } }, /layout must be one of/],
    ["no table", { ...good, arcs: undefined }, /arcs go with the layout "arcs" and with no other/],
    ["a table that is no text", { ...good, arcs: 7 }, /arcs must be 32768 bytes in base64, got 7/],
    ["an empty table", { ...good, arcs: "" }, /arcs must be 32768 bytes/],
    ["a short table", { ...good, arcs: arcs.slice(4) }, /arcs must be 32768 bytes/],
    ["a long table", { ...good, arcs: `AAAA${arcs}` }, /arcs must be 32768 bytes/],
    ["a table of another alphabet", { ...good, arcs: `*${arcs.slice(1)}` }, /arcs must be 32768 bytes/],
    ["a table with spaces", { ...good, arcs: ` ${arcs.slice(1)}` }, /arcs must be 32768 bytes/],
    ["a table for a layout without", { ...jump, arcs }, /arcs go with the layout "arcs"/],
  ])("with %s is refused", async (_, json, message) => {
    const error = await rejection(() => HashRing.from(json), "INVALID_ARGUMENT");

    expect(error.message).toMatch(/^ring JSON: /);
    expect(error.message).toMatch(message);
  });

  test("does not pollute the prototype of objects", () => {
    expect(() => HashRing.from(`{"__proto__":{"polluted":1}}`)).toThrow(/unknown field/);
    expect(({} as { polluted?: number }).polluted).toBeUndefined();
  });
});
