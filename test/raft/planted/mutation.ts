/**
 * A bug to plant: one line of the core made wrong, and who finds it. It is data; whoever plants it copies
 * the tree first.
 */
export interface Mutation {
  /** What the core then does wrong, in a few words. */
  readonly name: string;
  readonly file: string;
  /** Exact text that occurs once in the file. */
  readonly from: string;
  readonly to: string;
  /** The test that fails with it. */
  readonly foundBy: string;
}
