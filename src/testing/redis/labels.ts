/**
 * The labels by which containers of ours are known, and the sweep of those whose owner is gone.
 * An owner is one process of one host: its id and the moment it started, since ids are used again.
 * Nothing is ever removed on a guess: other hosts' containers and those without our label stay.
 */
import { readFileSync } from "node:fs";
import { hostname } from "node:os";

const KIND_LABEL = "coterie.testing";
const OWNER_LABEL = "coterie.testing.owner";
/** One per `startRedis`. */
export const GROUP_LABEL = "coterie.testing.group";

/** As much of dockerode as is needed here. */
export interface ContainerStore {
  listContainers(options: {
    all: boolean;
    filters: { label: string[] };
  }): Promise<{ readonly Id: string; readonly Labels: Readonly<Record<string, string>> }[]>;
  getContainer(id: string): { remove(options: { force: boolean; v: boolean }): Promise<unknown> };
}

export function ownLabels(groupId: string): Record<string, string> {
  return { [KIND_LABEL]: "redis", [OWNER_LABEL]: ownerName(process.pid), [GROUP_LABEL]: groupId };
}

/** Removes every container whose owner was a process of this host that is gone. */
export async function sweepDeadOwners(store: ContainerStore): Promise<void> {
  await removeWhere(store, `${KIND_LABEL}=redis`, (labels) => isDeadOwner(labels[OWNER_LABEL] ?? ""));
}

export async function removeGroup(store: ContainerStore, groupId: string): Promise<void> {
  await removeWhere(store, `${GROUP_LABEL}=${groupId}`, () => true);
}

/** Its volumes go with it; one that is gone or going already is no error. */
export async function removeContainer(store: ContainerStore, id: string): Promise<void> {
  try {
    await store.getContainer(id).remove({ force: true, v: true });
  } catch (error) {
    const status = (error as { readonly statusCode?: number }).statusCode;
    if (status !== 404 && status !== 409) throw error;
  }
}

async function removeWhere(
  store: ContainerStore,
  label: string,
  holds: (labels: Readonly<Record<string, string>>) => boolean,
): Promise<void> {
  const containers = await store.listContainers({ all: true, filters: { label: [label] } });
  const doomed = containers.filter(({ Labels }) => holds(Labels));
  await Promise.all(doomed.map(({ Id }) => removeContainer(store, Id)));
}

function ownerName(pid: number): string {
  return `${hostname()}/${pid}/${startOf(pid) ?? ""}`;
}

function isDeadOwner(owner: string): boolean {
  const [host, pid = ""] = owner.split("/");
  if (host !== hostname() || !/^\d+$/.test(pid)) return false;
  return !isAlive(Number(pid)) || ownerName(Number(pid)) !== owner;
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    // EPERM: alive, and somebody else's.
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

/** When it started, in ticks since boot (the 22nd field, the 20th after the name); only Linux tells. */
function startOf(pid: number): string | undefined {
  if (process.platform !== "linux") return undefined;
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19];
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}
