import { describe, expect, test } from "vitest";

import { type Facts, planRedis, stop } from "../../../scripts/redis-plan.ts";

/** A machine that has nothing and lets us do nothing. */
const bare: Facts = {
  forced: "",
  hasUrls: false,
  serverPath: undefined,
  containers: "none",
  hasApt: false,
  hasBrew: false,
  rights: "none",
  hasSystemd: false,
  installCommand: "sudo apt-get install -y redis-server",
};

const aptAsRoot: Facts = { ...bare, hasApt: true, rights: "root" };

function commandsOf(facts: Facts): string[] {
  const plan = planRedis(facts);
  return plan.kind === "install" ? plan.steps.map((step) => step.command.join(" ")) : [];
}

describe("planRedis", () => {
  test.each<[string, Partial<Facts>]>([
    ["a server on the PATH", { serverPath: "/usr/bin/redis-server", hasApt: true, rights: "root" }],
    ["URLs of running instances", { hasUrls: true, hasApt: true, rights: "root" }],
    ["URLs, and told to use them", { hasUrls: true, forced: "external" }],
    ["containers whose image is here", { containers: "image", hasApt: true, rights: "root" }],
    ["containers, and told to use them", { containers: "engine", forced: "container" }],
    [
      "containers to be pulled, and no way to install",
      { containers: "engine", hasApt: true, rights: "none" },
    ],
    [
      "a server, and told to use processes",
      { serverPath: "/usr/bin/redis-server", forced: "process", hasUrls: true },
    ],
  ])("goes on without doing anything where there are: %s", (_, facts) => {
    expect(planRedis({ ...bare, ...facts }).kind).toBe("ready");
  });

  test("says in one line what it found", () => {
    const plan = planRedis({ ...bare, serverPath: "/usr/bin/redis-server" });

    expect(plan.say).toBe("Redis: /usr/bin/redis-server");
  });

  test("installs by apt as root, and says so before", () => {
    const plan = planRedis(aptAsRoot);

    expect(plan).toMatchObject({
      kind: "install",
      say: expect.stringContaining("apt-get installs redis-server") as string,
    });
    expect(commandsOf(aptAsRoot).filter((command) => / install .*redis-server$/.test(command))).toHaveLength(
      1,
    );
    expect(commandsOf(aptAsRoot).some((command) => command.includes("sudo"))).toBe(false);
  });

  test("installs by apt through sudo -n only, so that nothing asks for a password", () => {
    const commands = commandsOf({ ...aptAsRoot, rights: "sudo", hasSystemd: true });

    expect(commands.length).toBeGreaterThan(2);
    expect(commands.every((command) => command.startsWith("sudo -n "))).toBe(true);
  });

  test("asks apt no questions, and bounds its locks, its downloads and itself", () => {
    const plan = planRedis(aptAsRoot);
    const steps = plan.kind === "install" ? plan.steps : [];

    for (const { command } of steps.filter((step) => step.command.includes("apt-get"))) {
      expect(command).toContain("DEBIAN_FRONTEND=noninteractive");
      expect(command.join(" ")).toMatch(/DPkg::Lock::Timeout=\d+ .*http::Timeout=\d+/);
    }
    expect(steps.every(({ limitSeconds }) => limitSeconds > 0 && limitSeconds <= 300)).toBe(true);
  });

  test("goes on when apt's lists cannot be read, not when the installation fails", () => {
    const plan = planRedis(aptAsRoot);
    const steps = plan.kind === "install" ? plan.steps : [];

    expect(steps.filter((step) => !step.mayFail).map((step) => step.command.at(-1))).toEqual([
      "redis-server",
    ]);
  });

  test("keeps the package's service from starting: masked around the installation, then disabled", () => {
    const words = commandsOf({ ...aptAsRoot, hasSystemd: true }).map((command) => command.split(" "));
    const order = words.map((command) =>
      command.find((word) => /^(update|install|mask|unmask|disable)$/.test(word)),
    );

    expect(order).toEqual(["update", "mask", "install", "unmask", "disable"]);
  });

  test("stops and disables the service afterwards where there is no systemd", () => {
    expect(commandsOf(aptAsRoot).slice(-2)).toEqual([
      "invoke-rc.d --quiet redis-server stop",
      "update-rc.d redis-server disable",
    ]);
  });

  test("installs by brew where that is, without starting a service", () => {
    expect(commandsOf({ ...bare, hasBrew: true })).toEqual([
      "env HOMEBREW_NO_AUTO_UPDATE=1 HOMEBREW_NO_ENV_HINTS=1 brew install redis",
    ]);
  });

  test.each<[string, Partial<Facts>]>([
    ["nothing at all", {}],
    ["apt without the right to use it", { hasApt: true }],
    ["the right to install, and no apt", { rights: "root" }],
  ])("stops with the command to type where there is: %s", (_, facts) => {
    const plan = planRedis({ ...bare, ...facts });

    expect(plan.kind).toBe("stop");
    expect(plan.say).toContain(`\n    ${bare.installCommand}\n`);
  });

  test.each<[string, Partial<Facts>, string]>([
    [
      "external without URLs",
      { forced: "external", serverPath: "/usr/bin/redis-server" },
      "COTERIE_REDIS_URLS",
    ],
    [
      "container without an engine",
      { forced: "container", serverPath: "/usr/bin/redis-server" },
      "docker info",
    ],
  ])("stops where it is forced to what is not there: %s", (_, facts, named) => {
    expect(planRedis({ ...bare, ...facts })).toMatchObject({
      kind: "stop",
      say: expect.stringContaining(named) as string,
    });
  });

  test("does not take containers for processes when it is told processes", () => {
    expect(planRedis({ ...aptAsRoot, forced: "process", containers: "image" }).kind).toBe("install");
  });

  test("a failed installation ends with the reason and the same command to type", () => {
    expect(stop("apt-get ended with 100", bare).say).toMatch(
      /ended with 100[^]*sudo apt-get install -y redis-server/,
    );
  });
});
