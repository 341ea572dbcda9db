/** What every bench prints: the machine, the versions, medians with their spread, tables in Markdown. */
import { cpus, totalmem } from "node:os";

export interface Sample {
  readonly median: number;
  readonly min: number;
  readonly max: number;
  readonly count: number;
}

export function summarize(values: readonly number[]): Sample {
  if (values.length === 0) throw new Error("a sample needs at least one value");
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const median =
    sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
  return { median, min: sorted[0]!, max: sorted.at(-1)!, count: sorted.length };
}

/** `4.2 (3.9-4.4)`: the median and the whole range. */
export function show({ median, min, max }: Sample, digits = 2): string {
  return `${median.toFixed(digits)} (${min.toFixed(digits)}-${max.toFixed(digits)})`;
}

/** The median and the range of one number of all measurements. */
export function showAll<T>(all: readonly T[], of: (one: T) => number, digits = 0): string {
  return show(summarize(all.map(of)), digits);
}

export function machine(): string {
  const cores = cpus();
  const memory = Math.round(totalmem() / 2 ** 30);
  const model = cores[0]?.model.trim() ?? "unknown CPU";
  return `${cores.length} x ${model}, ${memory} GiB, Node ${process.version}`;
}

export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const lines = [head, head.map((_, at) => (at === 0 ? "---" : "---:")), ...rows];
  return lines.map((cells) => `| ${cells.join(" | ")} |`).join("\n");
}

export function print(text = ""): void {
  process.stdout.write(`${text}\n`);
}
