/**
 * A follower takes what its leader sends (paper, section 5.3): entries after one that both have, commit
 * indexes that it may trust, and nothing that would cut off what is committed.
 */
import { type Message, MessageDraft } from "../message/message.ts";
import type { RaftState } from "./state.ts";

export function handleAppend(state: RaftState, message: Message): void {
  const { log } = state;
  const { index, logTerm, entries, from } = message;
  const answer = new MessageDraft("appendResponse", from);
  if (index < log.committed) {
    // Late: all up to the commit index agrees with every leader.
    answer.index = log.committed;
    state.sendAfterSync(answer);
    return;
  }
  const last = log.appendAfter(index, logTerm, entries);
  if (last !== undefined) {
    // What lies beyond these entries may be another leader's.
    log.commitTo(Math.min(message.commitIndex, last));
    if (state.settings.validateChanges) log.commitProvenChanges();
    answer.index = last;
    state.sendAfterSync(answer);
    return;
  }
  answer.index = index;
  answer.reject = true;
  answer.hint = log.lastAtMost(index, logTerm);
  answer.logTerm = log.term(answer.hint) ?? 0;
  state.sendAfterSync(answer);
}

export function handleHeartbeat(state: RaftState, message: Message): void {
  state.log.commitTo(message.commitIndex);
  const answer = new MessageDraft("heartbeatResponse", message.from);
  answer.context = message.context;
  state.send(answer);
}
