/**
 * A request that is refused before its handler: by a problem, or by the app's own answer. Its one idea:
 * never an answer after headers were sent, and never an error of the app's that reaches nobody.
 */
import type { NextFunction, Request, Response } from "express";

import { CoterieError } from "../../src/index.ts";
import { type Answer, type Problem, sendAnswer } from "./problem.ts";

export type ProblemHandler = (
  problem: Problem,
  req: Request,
  res: Response,
  next: NextFunction,
) => unknown;

/** A finished response stays as it is, and one that has begun is the app's to end. */
export function refuse(
  where: string,
  answer: Answer,
  onProblem: ProblemHandler | undefined,
  req: Request,
  res: Response,
  next: NextFunction,
): void {
  const { problem } = answer;
  if (res.writableEnded) return;
  if (res.headersSent) {
    next(new CoterieError("INVALID_ARGUMENT", `${where}: ${problem.code} after the response had begun`));
    return;
  }
  if (onProblem === undefined) sendAnswer(res, answer);
  else void answerOwn((nextOnce) => onProblem(problem, req, res, nextOnce), next);
}

/** Whether the app's own function throws or rejects, its error goes to `next` and nowhere else. */
async function answerOwn(own: (next: NextFunction) => unknown, next: NextFunction): Promise<void> {
  let isCalled = false;
  const nextOnce = (error?: unknown): void => {
    if (isCalled) return;
    isCalled = true;
    next(error);
  };
  try {
    await own(nextOnce as NextFunction);
  } catch (error) {
    nextOnce(error);
  }
}
