/**
 * What the demo prints: lines that stay, and one live line. On a terminal the live line is redrawn in
 * place below the others; elsewhere it is a line like any other, once a second.
 */
import { systemEnv, type Timer } from "coterie";

const CLEAR = "\r\u001b[2K";
/** Where the terminal does not say how wide it is. */
const COLUMNS = 80;
const REDRAW_MS = 250;
const PRINT_MS = 1000;

export class Screen {
  readonly isTerminal: boolean;
  readonly #out: NodeJS.WriteStream;
  #live = "";
  #timer: Timer | undefined;

  constructor(out: NodeJS.WriteStream, isTerminal = out.isTTY && process.env["TERM"] !== "dumb") {
    this.#out = out;
    this.isTerminal = isTerminal;
  }

  say(text: string): void {
    this.#out.write(this.#live === "" ? `${text}\n` : `${CLEAR}${text}\n${this.#live}`);
  }

  /** Shows what `line` gives from now on, again and again; it is told how long ago it was last asked. */
  startLive(line: (elapsedMs: number) => string): void {
    let askedAt = systemEnv.clock.now();
    this.#timer = systemEnv.timers.every(this.isTerminal ? REDRAW_MS : PRINT_MS, () => {
      const now = systemEnv.clock.now();
      const text = line(now - askedAt);
      askedAt = now;
      this.#show(text);
    });
  }

  stopLive(): void {
    this.#timer?.cancel();
    if (this.#live !== "") this.#out.write("\n");
    this.#live = "";
  }

  #show(text: string): void {
    if (!this.isTerminal) {
      this.#out.write(`${text}\n`);
      return;
    }
    // A line that wraps could not be taken back.
    this.#live = text.slice(0, (this.#out.columns || COLUMNS) - 1);
    this.#out.write(`${CLEAR}${this.#live}`);
  }
}
