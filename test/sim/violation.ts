/** A promise was broken: which one, and with what numbers. It ends the run. */
export class Violation extends Error {
  readonly promise: string;

  constructor(promise: string, text: string) {
    super(`${promise}: ${text}`);
    this.name = "Violation";
    this.promise = promise;
  }
}
