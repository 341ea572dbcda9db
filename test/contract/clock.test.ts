import { systemEnv } from "../../src/env/index.ts";
import { SimClock } from "../../src/testing/index.ts";
import { clockContract } from "./clock.contract.ts";

clockContract("the system's", () => ({
  clock: systemEnv.clock,
  timers: systemEnv.timers,
  pass: (ms) => systemEnv.clock.sleep(ms),
}));

clockContract("simulated", () => {
  const clock = new SimClock();
  return { clock, timers: clock, pass: (ms) => clock.advance(ms) };
});
