import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { createServer, type AddressInfo } from "node:net";
import { fileURLToPath } from "node:url";

import { Redis } from "ioredis";
import { afterAll, afterEach, beforeAll, expect, test, vi } from "vitest";

import { openShards } from "../../src/shards/index.ts";
import { type RedisGroup, startRedis } from "../../src/testing/index.ts";
import { OpenInstances } from "../support/instances.ts";
import { rejection } from "../support/reject.ts";
import { until } from "../support/until.ts";

const SECRET = "pl4nted-s3cret";
const TLS = fileURLToPath(new URL("../support/tls/", import.meta.url));

let redis: RedisGroup;
let tlsPort: number;
let address: string;
const opened = new OpenInstances();

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

beforeAll(async () => {
  tlsPort = await freePort();
  redis = await startRedis({
    config: {
      "tls-port": tlsPort,
      "tls-cert-file": `${TLS}server-cert.pem`,
      "tls-key-file": `${TLS}server-key.pem`,
      "tls-auth-clients": "no",
    },
  });
  const { host, port } = redis.instances[0]!;
  address = `${host}:${port}`;
  const admin = new Redis(redis.urls[0]!);
  await admin.call("acl", ["setuser", "app", "on", `>${SECRET}`, "~*", "+@all", "-info"]);
  await admin.quit();
});
afterEach(() => opened.closeAll());
afterAll(() => redis.stop());

test("an ACL user without the right to INFO works", async () => {
  const instance = await opened.open(`redis://app:${SECRET}@${address}`);

  expect(await instance.call("acl", ["whoami"])).toBe("app");
  expect(instance.status()).toMatchObject({ state: "ready", runId: undefined });
});

test("TLS passes through, with the certificate checked", async () => {
  const ca = readFileSync(`${TLS}server-cert.pem`);
  const target = { host: "127.0.0.1", port: tlsPort };

  const trusting = await opened.open({ options: { ...target, tls: { ca } } });
  const distrusting = await opened.open({ url: `rediss://127.0.0.1:${tlsPort}` });

  expect(await trusting.call("ping", [])).toBe("PONG");
  const error = await rejection(() => distrusting.call("ping", []), "UNREACHABLE");
  expect(error.message).toContain("self-signed certificate");
});

test("writes over TLS are joined as well", async () => {
  const ca = readFileSync(`${TLS}server-cert.pem`);
  const instance = await opened.open({ options: { host: "127.0.0.1", port: tlsPort, tls: { ca } } });

  const replies = await Promise.all(Array.from({ length: 200 }, (_, n) => instance.call("echo", [`${n}`])));

  expect(replies).toEqual(Array.from({ length: 200 }, (_, n) => `${n}`));
});

test("a wrong password is told as the reason, and shown nowhere", async () => {
  const printed: string[] = [];
  const keep = (...args: unknown[]): void =>
    void printed.push(args.map((arg) => JSON.stringify(arg)).join(" "));
  const spies = (["log", "info", "warn", "error"] as const).map((name) =>
    vi.spyOn(console, name).mockImplementation(keep),
  );
  const wrong = `${SECRET}-wrong`;

  const instance = await opened.open(`redis://app:${wrong}@${address}`);
  const error = await rejection(() => instance.call("ping", []), "UNREACHABLE");
  const refused = await rejection(
    () => openShards({ instances: [`redis://app:${wrong}@${address}`], connectDeadlineMs: 300 }),
    "UNREACHABLE",
  );
  for (const spy of spies) spy.mockRestore();

  expect(error.message).toContain("WRONGPASS");
  expect(refused.message).toContain("WRONGPASS");
  const shown = [printed, error, error.stack, error.cause, instance.status(), refused, refused.stack];
  expect(JSON.stringify(shown)).not.toContain(SECRET);
});

test.each<[string, string, number?]>([
  [
    "after close, whatever state its instances were in",
    `const instances = [url, "redis://127.0.0.1:1"];
    const shards = await openShards({ instances, connectDeadlineMs: 300 });
    await shards.pipeline().set("a", "1").set("b", "2").set("c", "3").exec();
    await shards.close();`,
  ],
  [
    "when no instance could be reached",
    `const instances = ["redis://127.0.0.1:1"];
    await openShards({ instances }).catch((error) => error.code === "UNREACHABLE" || exit());`,
  ],
  [
    "when a Sentinel says nothing",
    `const silent = createServer((socket) => socket.unref()).listen(0, "127.0.0.1").unref();
    await once(silent, "listening");
    const sentinels = [{ host: "127.0.0.1", port: silent.address().port }];
    const instances = [url, { options: { sentinels, name: "main" } }];
    const shards = await openShards({ instances, connectDeadlineMs: 300 });
    await shards.close();`,
    // ioredis gives the connection that it has to a Sentinel two seconds to end, and takes no option for it.
    3500,
  ],
  [
    "when an option was refused after an instance had been made",
    `const instances = [url, "nonsense"];
    await openShards({ instances }).catch((error) => error.code === "INVALID_OPTION" || exit());`,
  ],
])("nothing keeps a process alive %s", async (_, body, withinMs = 500) => {
  const program = `
    import { once } from "node:events";
    import { createServer } from "node:net";
    import { openShards } from "coterie";
    const url = ${JSON.stringify(redis.urls[0])};
    const exit = () => process.exit(1);
    ${body}
    process.stdout.write("closed");
  `;
  const child = spawn(process.execPath, ["--input-type=module", "--eval", program], {
    cwd: fileURLToPath(new URL("../..", import.meta.url)),
    stdio: ["ignore", "pipe", "inherit"],
  });
  let output = "";
  let closedAt = Number.NaN;
  let exitedAt = 0;
  let code: number | null = null;
  child.stdout.on("data", (data: Buffer) => {
    output += data.toString();
    closedAt = performance.now();
  });
  child.once("exit", (exitCode) => {
    exitedAt = performance.now();
    code = exitCode;
  });

  try {
    await until("the process ended", () => exitedAt > 0, 5000);
  } finally {
    child.kill("SIGKILL");
  }

  expect([output, code]).toEqual(["closed", 0]);
  expect(exitedAt - closedAt).toBeLessThan(withinMs);
});
