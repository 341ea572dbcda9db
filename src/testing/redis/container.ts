/**
 * Redis in containers, through testcontainers, which is loaded only when it is asked for.
 * Its one idea: the port on the host is chosen by us and published as it is, on loopback where the engine
 * is here, so that a restart keeps the address (a port chosen by the engine changes). Containers carry
 * our own labels instead of testcontainers' reaper, whose image cannot be pulled everywhere: the watchdog
 * removes them when this process ends, and every start first sweeps away those of processes that are gone.
 */
import { randomUUID } from "node:crypto";

import type * as testcontainersModule from "testcontainers";

import { CoterieError } from "../../index.ts";
import { type RedisConfig, renderConfig } from "./config.ts";
import { noRedis } from "./find.ts";
import { type Backend, openGroup, type RedisGroup } from "./handle.ts";
import { GROUP_LABEL, ownLabels, removeContainer, removeGroup, sweepDeadOwners } from "./labels.ts";
import { canListen, holdFreePort, isPortFree, releasePort } from "./ports.ts";
import { probe } from "./probe.ts";
import { until } from "./wait.ts";
import { Watchdog } from "./watchdog.ts";

type Testcontainers = typeof testcontainersModule;
type Engine = Awaited<ReturnType<Testcontainers["getContainerRuntimeClient"]>>;
type Container = ReturnType<Engine["container"]["getById"]>;

const DEFAULT_IMAGE = "redis:7-alpine";
const LOOPBACK = "127.0.0.1";
const CONTAINER_PORT = 6379;
const CONFIG_PATH = "/tmp/coterie-redis.conf";
/** The first start may have to pull the image. */
const CREATE_MS_MAX = 180_000;
const SERVE_MS_MAX = 30_000;
const DEATH_MS_MAX = 15_000;
const PORTS_TRIED_MAX = 20;
const PORT_BACK_MS_MAX = 5_000;
const OUTPUT_LINES_MAX = 1_000;
const OUTPUT_CHARACTERS_MAX = 65_536;
const PORT_TAKEN = /address already in use|port is already allocated/i;

export interface ContainerOptions {
  readonly count: number;
  readonly config: RedisConfig;
  readonly image?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

export async function openContainers(options: ContainerOptions): Promise<RedisGroup> {
  const testcontainers = await loadTestcontainers();
  const engine = await reachEngine(testcontainers);
  await sweepDeadOwners(engine.container.dockerode);
  const groupId = randomUUID();
  const watchdog = new Watchdog({ containerLabel: `${GROUP_LABEL}=${groupId}` });
  const image = options.image ?? process.env["COTERIE_REDIS_IMAGE"] ?? DEFAULT_IMAGE;
  const host = await reachableHost(engine);
  const { config } = options;
  const settings: ContainerSettings = { testcontainers, engine, host, image, config, groupId };
  const cleanUp = async () => {
    await removeGroup(engine.container.dockerode, groupId);
    await watchdog.close();
  };
  return openGroup(options.count, () => ContainerBackend.open(settings, options.signal), cleanUp);
}

interface ContainerSettings {
  readonly testcontainers: Testcontainers;
  readonly engine: Engine;
  readonly host: string;
  readonly image: string;
  readonly config: RedisConfig;
  readonly groupId: string;
}

class ContainerBackend implements Backend {
  readonly provider = "container";
  readonly #settings: ContainerSettings;
  readonly #host: string;
  #port = 0;
  #container: Container | undefined;
  #discarded = false;
  /** What containers that a wipe has replaced had printed. */
  #outputBefore = "";

  private constructor(settings: ContainerSettings) {
    this.#settings = settings;
    this.#host = settings.host;
  }

  static async open(settings: ContainerSettings, signal?: AbortSignal): Promise<ContainerBackend> {
    const backend = new ContainerBackend(settings);
    try {
      await backend.#createOnFreePort(signal);
      return backend;
    } catch (error) {
      await backend.discard();
      throw error;
    }
  }

  get address(): { readonly url: string; readonly host: string; readonly port: number } {
    const login = this.#password === "" ? "" : `:${encodeURIComponent(this.#password)}@`;
    return { url: `redis://${login}${this.#host}:${this.#port}`, host: this.#host, port: this.#port };
  }

  async kill(): Promise<void> {
    const container = this.#container;
    if (container === undefined || !(await this.#state()).running) return;
    await container.kill({ signal: "SIGKILL" });
    // The engine's own proxy may accept for a moment longer than Redis does.
    const isDead = async () => !(await this.#state()).running && (await isPortFree(this.#port));
    const dead = await until(isDead, { limitMs: DEATH_MS_MAX, everyMs: 10 });
    if (!dead) throw new CoterieError("NO_ANSWER", `container ${container.id} outlives SIGKILL`);
  }

  async start(wipe: boolean): Promise<void> {
    if (wipe) await this.#remove();
    let failure: CoterieError | undefined;
    const isUp = async () => {
      failure =
        this.#container === undefined ? await this.#create() : await this.#startAgain(this.#container);
      if (failure !== undefined && !isPortTaken(failure)) throw failure;
      return failure === undefined;
    };
    const up = await until(isUp, { limitMs: PORT_BACK_MS_MAX, everyMs: 100 });
    if (!up && failure !== undefined) throw failure;
  }

  async pause(): Promise<void> {
    const { container, paused } = await this.#requireRunning("pause");
    if (!paused) await container.pause();
  }

  async resume(): Promise<void> {
    const { container, paused } = await this.#requireRunning("resume");
    if (paused) await container.unpause();
  }

  async discard(): Promise<void> {
    this.#discarded = true;
    await this.#remove();
    releasePort(this.#port);
  }

  async output(): Promise<string> {
    const now = this.#container === undefined ? "" : await readLogs(this.#container);
    return (this.#outputBefore + now).slice(-OUTPUT_CHARACTERS_MAX);
  }

  get #password(): string {
    return String(this.#settings.config["requirepass"] ?? "");
  }

  async #createOnFreePort(signal?: AbortSignal): Promise<void> {
    for (let tried = 1; ; tried += 1) {
      this.#port = await holdFreePort();
      const failure = await this.#create(signal);
      if (failure === undefined) return;
      if (!isPortTaken(failure) || tried >= PORTS_TRIED_MAX) throw failure;
      await this.#remove();
      releasePort(this.#port);
    }
  }

  /** A new container on the port; the reason why it is not up, or undefined when it serves. */
  async #create(signal?: AbortSignal): Promise<CoterieError | undefined> {
    const settled = new AbortController();
    const signals = signal === undefined ? [settled.signal] : [settled.signal, signal];
    const starting = this.#describe().start();
    // Of a container that ends at once, testcontainers waits 10 s for the ports. It is asked meanwhile.
    const ended = until(async () => (await this.#state()).ended, {
      limitMs: CREATE_MS_MAX,
      everyMs: 50,
      signal: AbortSignal.any(signals),
    });
    try {
      await Promise.race([starting, ended]);
    } catch (error) {
      if (signal?.aborted === true) throw error;
      return this.#startFailed((error as Error).message, error);
    } finally {
      settled.abort();
    }
    return this.#waitUntilServes(signal);
  }

  async #startAgain(container: Container): Promise<CoterieError | undefined> {
    try {
      await container.start();
    } catch (error) {
      return this.#startFailed((error as Error).message, error);
    }
    return this.#waitUntilServes();
  }

  #describe(): testcontainersModule.GenericContainer {
    const { testcontainers, image, config, groupId } = this.#settings;
    const hostIp = this.#host === LOOPBACK ? LOOPBACK : "";
    const port = this.#port;
    const onCreated = (id: string) => this.#adopt(id);
    class RedisContainer extends testcontainers.GenericContainer {
      protected override beforeContainerCreated(): Promise<void> {
        const binding = { HostIp: hostIp, HostPort: String(port) };
        this.hostConfig.PortBindings = { [`${CONTAINER_PORT}/tcp`]: [binding] };
        return Promise.resolve();
      }

      protected override containerCreated(id: string): Promise<void> {
        return onCreated(id);
      }
    }
    const own: RedisConfig = {
      bind: "0.0.0.0",
      "protected-mode": false,
      port: CONTAINER_PORT,
      dir: "/data",
      logfile: "",
    };
    return new RedisContainer(image)
      .withCommand([CONFIG_PATH])
      .withCopyContentToContainer([{ content: renderConfig(config, own), target: CONFIG_PATH, mode: 0o644 }])
      .withLabels(ownLabels(groupId))
      .withExposedPorts({ container: CONTAINER_PORT, host: port })
      .withAutoCleanup(false)
      .withWaitStrategy(waitForNothing);
  }

  /** From here on it is ours to remove; one that comes after the end is removed before it starts. */
  async #adopt(id: string): Promise<void> {
    if (this.#discarded) {
      await removeContainer(this.#settings.engine.container.dockerode, id);
      throw new CoterieError("CLOSED", "the instance was given up before its container was there");
    }
    this.#container = this.#settings.engine.container.getById(id);
  }

  async #waitUntilServes(signal?: AbortSignal): Promise<CoterieError | undefined> {
    const settled = async () => (await this.#state()).ended || (await this.#serves());
    const inTime = await until(settled, { limitMs: SERVE_MS_MAX, everyMs: 10, signal });
    if (!inTime) return this.#startFailed(`did not serve within ${SERVE_MS_MAX} ms`);
    return (await this.#state()).running ? undefined : this.#startFailed("ended");
  }

  async #serves(): Promise<boolean> {
    const password = this.#password === "" ? undefined : this.#password;
    return (await probe({ host: this.#host, port: this.#port, password }, 1000)).serves;
  }

  async #state(): Promise<{ readonly running: boolean; readonly paused: boolean; readonly ended: boolean }> {
    const state = this.#container === undefined ? undefined : (await this.#container.inspect()).State;
    const ended = state !== undefined && ["exited", "dead", "removing"].includes(state.Status);
    return { running: state?.Running === true, paused: state?.Paused === true, ended };
  }

  async #requireRunning(order: string): Promise<{ readonly container: Container; readonly paused: boolean }> {
    const container = this.#container;
    const { running, paused } = await this.#state();
    if (container !== undefined && running) return { container, paused };
    throw new CoterieError(
      "INVALID_ARGUMENT",
      `${order}: the Redis at ${this.#host}:${this.#port} is not running`,
    );
  }

  async #remove(): Promise<void> {
    const container = this.#container;
    if (container === undefined) return;
    this.#outputBefore = await this.output();
    this.#container = undefined;
    await removeContainer(this.#settings.engine.container.dockerode, container.id);
    // A port that is still bound would fail the next container on it.
    await until(() => isPortFree(this.#port), { limitMs: DEATH_MS_MAX, everyMs: 10 });
  }

  async #startFailed(why: string, cause?: unknown): Promise<CoterieError> {
    const { image } = this.#settings;
    const output = await this.output();
    const printed = output === "" ? "" : `; it printed:\n${output}`;
    return new CoterieError(
      "START_FAILED",
      `a container of ${image} on port ${this.#port}: ${why}${printed}`,
      { details: { image, port: this.#port, portTaken: PORT_TAKEN.test(why), output }, cause },
    );
  }
}

async function loadTestcontainers(): Promise<Testcontainers> {
  try {
    return await import("testcontainers");
  } catch (error) {
    throw noRedis(
      "containers need the package testcontainers (npm install --save-dev testcontainers)",
      error,
    );
  }
}

async function reachEngine(testcontainers: Testcontainers): Promise<Engine> {
  try {
    return await testcontainers.getContainerRuntimeClient();
  } catch (error) {
    throw noRedis("no container engine answers, and no redis-server was found or asked for", error);
  }
}

/** We ask the server ourselves, and keep the container and its output when it does not come up. */
const waitForNothing: testcontainersModule.WaitStrategy = {
  waitUntilReady: () => Promise.resolve(),
  withStartupTimeout: () => waitForNothing,
  isStartupTimeoutSet: () => true,
  getStartupTimeout: () => 0,
};

/** Both of its streams in order, freed of the engine's frames: one byte stream, three zeros, four length. */
async function readLogs(container: Container): Promise<string> {
  const framed = await container.logs({ stdout: true, stderr: true, follow: false, tail: OUTPUT_LINES_MAX });
  const parts: Buffer[] = [];
  for (let at = 0; at + 8 <= framed.length; ) {
    const end = at + 8 + framed.readUInt32BE(at + 4);
    parts.push(framed.subarray(at + 8, end));
    at = end;
  }
  return Buffer.concat(parts).toString();
}

/**
 * Where there is a /.dockerenv, testcontainers names the engine's bridge, which may well be this machine's
 * own; one can listen at an own address, also at that of a bridge that is down, and at no other.
 */
async function reachableHost(engine: Engine): Promise<string> {
  const { host } = engine.info.containerRuntime;
  return host === "localhost" || (await canListen(host, 0)) ? LOOPBACK : host;
}

function isPortTaken(failure: CoterieError): boolean {
  return failure.details["portTaken"] === true;
}
