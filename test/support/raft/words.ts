/**
 * The words of one command, read from left to right. Whatever is missing, malformed or left over is an error
 * that says what was expected; the runner adds the file and the line.
 */
import { MESSAGE_TYPES, type MessageType } from "../../../src/raft/index.ts";
import { ScenarioError } from "./cluster.ts";

export class Words {
  readonly name: string;
  #words: string[];

  constructor(line: string) {
    const [name = "", ...words] = line.split(" ").filter((word) => word !== "");
    this.name = name;
    this.#words = words;
  }

  get isEmpty(): boolean {
    return this.#words.length === 0;
  }

  /** The next word; `what` names it in the error. */
  next(what: string): string {
    const word = this.#words.shift();
    if (word === undefined) this.fail(`${what} is missing`);
    return word;
  }

  /** All words that are left, at least one. */
  rest(what: string): readonly string[] {
    if (this.isEmpty) this.fail(`${what} is missing`);
    return this.#words.splice(0);
  }

  peer(): number {
    return this.count(this.next("a peer"), "a peer's id");
  }

  /** All peers that are named next; none is fine. */
  peers(): readonly number[] {
    const ids: number[] = [];
    while (/^\d+$/.test(this.#words[0] ?? "")) ids.push(this.peer());
    return ids;
  }

  number(what: string): number {
    return this.count(this.next(what), what);
  }

  /** The next word as a number, or this. */
  numberOr(fallback: number, what: string): number {
    return this.isEmpty ? fallback : this.number(what);
  }

  /** Takes the word out, wherever it stands. */
  flag(word: string): boolean {
    const at = this.#words.indexOf(word);
    if (at >= 0) this.#words.splice(at, 1);
    return at >= 0;
  }

  /** Takes `name=value` out, wherever it stands. */
  option(name: string): string | undefined {
    const at = this.#words.findIndex((word) => word.startsWith(`${name}=`));
    return at < 0 ? undefined : (this.#words.splice(at, 1)[0] as string).slice(name.length + 1);
  }

  countOption(name: string): number | undefined {
    const value = this.option(name);
    return value === undefined ? undefined : this.count(value, name);
  }

  /** `name=1,2,3` */
  listOption(name: string): readonly number[] {
    return (this.option(name)?.split(",") ?? []).map((value) => this.count(value, name));
  }

  types(): readonly MessageType[] | undefined {
    return this.option("type")
      ?.split(",")
      .map((name) => {
        const type = MESSAGE_TYPES.find((known) => known === name);
        return type ?? this.fail(`there is no type of message ${name}`);
      });
  }

  end(): void {
    if (!this.isEmpty) this.fail(`${this.#words.join(" ")} means nothing here`);
  }

  count(word: string, what: string): number {
    if (!/^[1-9]\d{0,8}$/.test(word)) this.fail(`${what} is a whole number from 1, got ${word}`);
    return Number(word);
  }

  fail(problem: string): never {
    throw new ScenarioError(`${this.name}: ${problem}`);
  }
}
