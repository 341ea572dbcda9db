/**
 * Errors as RFC 9457 problem details (`application/problem+json`). Its one idea: every text that a client
 * sees stands in this file, so no key, address, id or cause of ours can ever be in it.
 */
import type { IncomingMessage, ServerResponse } from "node:http";

import { CoterieError, type ErrorCode } from "../../src/index.ts";

/** coterie's error code, or one of the middleware's own for the client's mistakes. */
export type ProblemCode = ErrorCode | "MISSING_KEY" | "INVALID_KEY" | "MISSING_RESOURCE" | "INVALID_RESOURCE";

/** RFC 9457's members, and `code` as an extension member. */
export interface Problem {
  /** `urn:coterie:problem:` and the code in lower case with hyphens. */
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  readonly code: ProblemCode;
}

/** A problem, and what its answer's headers are made from. */
export interface Answer {
  readonly problem: Problem;
  /** Seconds for Retry-After; undefined when asking again does not help or may do a thing twice. */
  readonly retryAfterSeconds: number | undefined;
}

type Wording = readonly [status: number, title: string, detail: string];

const AWAY: Wording = [
  503,
  "A part of the data cannot be reached",
  "The part of the data that this request needs cannot be reached now. Other parts are not affected.",
];
const BUSY: Wording = [
  503,
  "A part of the data is busy",
  "The part of the data that this request needs cannot take it now.",
];
const IN_USE: Wording = [
  423,
  "Another request is at work on this",
  "Another request is at work on what this request needs for itself.",
];
const NO_LOCKS: Wording = [
  503,
  "Requests cannot be kept apart now",
  "This request must not run beside others of its kind, and that cannot be made sure of now.",
];
const UNKNOWN: Wording = [
  500,
  "The request failed",
  "The request failed for a reason that asking again does not change.",
];

const WORDINGS: Readonly<Partial<Record<ProblemCode, Wording>>> = {
  MISSING_KEY: [
    400,
    "The request names no key",
    "The request does not name the key that decides where its data is.",
  ],
  UNREACHABLE: AWAY,
  CIRCUIT_OPEN: AWAY,
  PARTIAL: AWAY,
  NO_ANSWER: [
    503,
    "A part of the data did not answer",
    "The part of the data that this request needs did not answer in time.",
  ],
  MAYBE_APPLIED: [
    503,
    "A part of the data did not answer",
    "The part of the data that this request changes did not answer in time. " +
      "The change may or may not have been made.",
  ],
  MISSING_RESOURCE: [
    400,
    "The request does not name what it is about",
    "The request does not name what it needs for itself.",
  ],
  LOCKED: IN_USE,
  NO_QUORUM: NO_LOCKS,
  ABSTAINING: NO_LOCKS,
  LOCK_LOST: [
    503,
    "The request lost what it had for itself",
    "While the request was at work, it lost what it had for itself. " +
      "What it does may or may not have been done.",
  ],
  OVERLOADED: BUSY,
  LOADING: BUSY,
  READONLY: BUSY,
  OUT_OF_MEMORY: BUSY,
  ABORTED: [503, "The request took too long", "The request was given up before it was done."],
  CLOSED: [503, "This server is closing", "This server takes no more requests. Another one may."],
};

const RETRY_AFTER_MS = 1000;

/** Codes that leave open whether what was asked for has been done. */
const MAY_BE_DONE: ReadonlySet<ProblemCode> = new Set<ProblemCode>(["MAYBE_APPLIED", "LOCK_LOST"]);

/** What asking again later may change. */
const PASSING: ReadonlySet<number> = new Set([409, 423, 503]);

/** The methods of which RFC 9110 (9.2.2) says that doing a request twice is as good as once. */
const IDEMPOTENT: ReadonlySet<string> = new Set(["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE"]);

/** What a handler may have said about the body that it did not get to send. */
const BODY_HEADERS = [
  "Accept-Ranges",
  "Content-Disposition",
  "Content-Encoding",
  "Content-Language",
  "Content-Location",
  "Content-Range",
  "ETag",
  "Expires",
  "Last-Modified",
  "Trailer",
  "Transfer-Encoding",
];

/** The client's mistakes. */
export function missingKey(): Answer {
  return { problem: problemOf("MISSING_KEY", WORDINGS.MISSING_KEY ?? UNKNOWN), retryAfterSeconds: undefined };
}

export function invalidKey(detail: string): Answer {
  const wording: Wording = [400, "The request's key cannot be used", detail];
  return { problem: problemOf("INVALID_KEY", wording), retryAfterSeconds: undefined };
}

export function missingResource(): Answer {
  const wording = WORDINGS.MISSING_RESOURCE ?? UNKNOWN;
  return { problem: problemOf("MISSING_RESOURCE", wording), retryAfterSeconds: undefined };
}

export function invalidResource(detail: string): Answer {
  const wording: Wording = [400, "What the request is about cannot be used", detail];
  return { problem: problemOf("INVALID_RESOURCE", wording), retryAfterSeconds: undefined };
}

/** What the caller of `answerFor` knows better than the error. */
export interface AnswerOverrides {
  readonly status?: number | undefined;
  readonly retryAfterMs?: number | undefined;
}

/** The answer for an error: 503 when asking again later can help, else 500; 423 for what is in use. */
export function answerFor(
  error: CoterieError,
  { method = "GET" }: Pick<IncomingMessage, "method">,
  { status = statusOf(error), retryAfterMs = error.details["retryAfterMs"] as number }: AnswerOverrides = {},
): Answer {
  const [, title, detail] = wordingOf(error);
  const problem = problemOf(error.code, [status, title, detail]);
  const isSafe = !MAY_BE_DONE.has(error.code) || IDEMPOTENT.has(method);
  if (!PASSING.has(status) || !isSafe) return { problem, retryAfterSeconds: undefined };
  const ms = Number.isFinite(retryAfterMs) ? retryAfterMs : RETRY_AFTER_MS;
  return { problem, retryAfterSeconds: Math.max(1, Math.ceil(ms / 1000)) };
}

/** True for what befalls locks although all is programmed right: it is answered, and not the app's error. */
export function isOfLocks(error: CoterieError): boolean {
  return statusOf(error) !== UNKNOWN[0];
}

/** Who has waited for others was not refused at once: what it waited for is unavailable. */
function statusOf(error: CoterieError): number {
  const [status] = wordingOf(error);
  const { waitMs } = error.details;
  return error.code === "LOCKED" && typeof waitMs === "number" && waitMs > 0 ? 503 : status;
}

/** Must not be called once headers were sent. */
export function sendAnswer(response: ServerResponse, { problem, retryAfterSeconds }: Answer): void {
  for (const name of BODY_HEADERS) response.removeHeader(name);
  response.statusCode = problem.status;
  // A handler's own phrase would not fit; an empty one lets Node take the standard one.
  response.statusMessage = "";
  const body = JSON.stringify(problem);
  response.setHeader("Content-Type", "application/problem+json; charset=utf-8");
  // Said here because Node does not count the body of an answer to HEAD.
  response.setHeader("Content-Length", Buffer.byteLength(body));
  response.setHeader("Cache-Control", "no-store");
  if (retryAfterSeconds !== undefined) response.setHeader("Retry-After", String(retryAfterSeconds));
  response.end(body);
}

/** Several shards failed at once: asking again helps only if it helps with each of them. */
function wordingOf(error: CoterieError): Wording {
  const known = WORDINGS[error.code] ?? UNKNOWN;
  if (error.code !== "PARTIAL" || !(error.cause instanceof AggregateError)) return known;
  const parts = error.cause.errors.map((part) => (CoterieError.is(part) ? wordingOf(part) : UNKNOWN));
  return parts.find(([status]) => status !== 503) ?? known;
}

function problemOf(code: ProblemCode, [status, title, detail]: Wording): Problem {
  const type = `urn:coterie:problem:${code.toLowerCase().replaceAll("_", "-")}`;
  return { type, title, status, detail, code };
}
