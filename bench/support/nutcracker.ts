/** A real nutcracker (Debian package) before the given servers, for comparison. Loopback only. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { type AddressInfo, connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

const START_MS = 5000;

export interface Nutcracker extends AsyncDisposable {
  readonly port: number;
}

/** Starts a proxy that spreads keys over the Redis servers on these loopback ports; needs the program. */
export async function startNutcracker(serverPorts: readonly number[]): Promise<Nutcracker> {
  const folder = await mkdtemp(join(tmpdir(), "coterie-nutcracker-"));
  const [port, statsPort] = [await freePort(), await freePort()];
  const config = {
    bench: {
      listen: `127.0.0.1:${port}`,
      hash: "fnv1a_64",
      distribution: "ketama",
      redis: true,
      timeout: 10_000,
      servers: serverPorts.map((server) => `127.0.0.1:${server}:1`),
    },
  };
  const file = join(folder, "nutcracker.yml");
  await writeFile(file, toYaml(config));
  const child = spawn("nutcracker", ["-c", file, "-s", String(statsPort), "-a", "127.0.0.1"], {
    stdio: "ignore",
  });
  const exited = new Promise<void>((resolve) => {
    child.once("exit", () => resolve());
    child.once("error", () => resolve());
  });
  const stop = async (): Promise<void> => {
    child.kill("SIGKILL");
    await exited;
    await rm(folder, { recursive: true, force: true });
  };
  const giveUpAt = performance.now() + START_MS;
  while (!(await answers(port))) {
    if (performance.now() < giveUpAt && child.exitCode === null && child.pid !== undefined) continue;
    await stop();
    throw new Error(`nutcracker did not listen within ${START_MS} ms (apt-get install nutcracker)`);
  }
  return { port, [Symbol.asyncDispose]: stop };
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

async function answers(port: number): Promise<boolean> {
  const socket = connect(port, "127.0.0.1");
  try {
    await once(socket, "connect");
    return true;
  } catch {
    await new Promise((resolve) => setTimeout(resolve, 20));
    return false;
  } finally {
    socket.destroy();
  }
}

function toYaml(pools: Record<string, Record<string, unknown>>): string {
  const lines: string[] = [];
  for (const [name, settings] of Object.entries(pools)) {
    lines.push(`${name}:`);
    for (const [key, value] of Object.entries(settings)) {
      if (!Array.isArray(value)) lines.push(`  ${key}: ${String(value)}`);
      else lines.push(`  ${key}:`, ...value.map((one) => `    - ${String(one)}`));
    }
  }
  return `${lines.join("\n")}\n`;
}
