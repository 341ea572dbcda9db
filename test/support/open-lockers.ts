/** Lockers under test over real Redis, closed after each test. */
import { type Locker, type LockerOptions, openLocker } from "../../src/locks/index.ts";
import { QUICK } from "./instances.ts";

export class OpenLockers {
  readonly #opened: Locker[] = [];
  readonly #names = `t${process.pid}-`;
  #stage = 0;

  /** Another prefix for each test, so that tests can share instances. */
  newName(): string {
    this.#stage += 1;
    return `${this.#names}${this.#stage}`;
  }

  async open(urls: readonly string[], options: Omit<LockerOptions, "instances"> = {}): Promise<Locker> {
    // The default deadline: a busy machine is not the fault under test.
    const { connectDeadlineMs, healthMs } = QUICK;
    const instances = urls.map((url, at) => ({ id: "abcdefgh"[at]!, url }));
    const locker = await openLocker({ instances, connectDeadlineMs, healthMs, ...options });
    this.#opened.push(locker);
    return locker;
  }

  async closeAll(): Promise<void> {
    await Promise.all(this.#opened.splice(0).map((locker) => locker.close({ graceMs: 200 })));
  }
}
