import { systemEnv } from "../../src/env/index.ts";
import { seededRandom } from "../../src/testing/index.ts";
import { randomContract } from "./random.contract.ts";

randomContract("the system's", () => systemEnv.random);
randomContract("from a seed", () => seededRandom(7));
