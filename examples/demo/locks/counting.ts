/**
 * Counts through every process of the app, all the time: each increment reads a number, waits a little and
 * writes it back, which is only right under a lock. Its one idea: the counter must hold as many as were
 * answered, so nothing needs to be believed.
 */
import { systemEnv } from "coterie";

import type { App } from "../stage.ts";
import type { Client } from "../client.ts";
import type { Load } from "../load.ts";
import type { Increment } from "./claims.ts";

const PAUSE_MS = 15;

export class Counting {
  readonly item: string;
  readonly increments: Increment[] = [];
  /** In words, those that were not made. */
  readonly refused: string[] = [];
  /** How many were asked for and answered while a Redis was dead. */
  duringOutage = 0;
  readonly #client: Client;
  readonly #load: Load;
  #running: Promise<void[]> | undefined;
  #stopping = false;

  /** The item is the counter; the load knows which phase of the story it is. */
  constructor(client: Client, item: string, load: Load) {
    this.#client = client;
    this.item = item;
    this.#load = load;
  }

  start(apps: readonly App[]): void {
    this.#running = Promise.all(apps.map((app) => this.#countOn(app)));
  }

  /** Resolves when the requests on their way were answered. */
  async stop(): Promise<void> {
    this.#stopping = true;
    await this.#running;
  }

  async #countOn({ url }: App): Promise<void> {
    while (!this.#stopping) {
      const askedIn = this.#load.phase;
      await this.#increment(`${url}/items/${this.item}/increment`);
      if (askedIn === "outage" && this.#load.phase === "outage") this.duringOutage += 1;
      await systemEnv.clock.sleep(PAUSE_MS);
    }
  }

  async #increment(url: string): Promise<void> {
    try {
      const { status, body } = await this.#client.ask("POST", url);
      if (status === 200) this.increments.push(JSON.parse(body) as Increment);
      else this.refused.push(`${status} ${body}`);
    } catch (error) {
      this.refused.push(String(error));
    }
  }
}
