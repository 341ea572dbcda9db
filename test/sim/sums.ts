/** What many runs come to, and whether their faults met anything. */
import type { RunResult } from "./run.ts";

export class Sums {
  seeds = 0;
  operations = 0;
  unknown = 0;
  violations = 0;
  readonly faults = new Map<string, number>();

  add({ operations, unknown, violation, faults }: RunResult): void {
    this.seeds += 1;
    this.operations += operations;
    this.unknown += unknown;
    if (violation !== undefined) this.violations += 1;
    for (const [name, count] of faults) this.faults.set(name, (this.faults.get(name) ?? 0) + count);
  }

  /** Each fault, and how often it met something. */
  get met(): string {
    return [...this.faults].map(([name, count]) => `${name} ${count}`).join(", ");
  }

  get line(): string {
    const faults = [...this.faults.values()].reduce((sum, count) => sum + count, 0);
    const operations = `${this.operations} client operations (${this.unknown} unknown)`;
    return `${this.seeds} seeds, ${faults} faults, ${operations}, ${this.violations} violations`;
  }
}
