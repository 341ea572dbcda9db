/**
 * A transcript is a text file: comments (`#`), empty lines, commands at the margin, and below each command
 * what happens, indented by two spaces. Running one gives the same file with what happens now; a test
 * compares the two. `quiet` before a command says nothing, for what only sets the stage.
 */
import { runCommand } from "./commands.ts";
import { Cluster } from "./cluster.ts";
import { Words } from "./words.ts";

const INDENT = "  ";
const QUIET = "quiet ";

/** Returns the text with the output of a run in place of the one that it has. */
export function runTranscript(name: string, text: string): string {
  const cluster = new Cluster();
  const lines: string[] = [];
  let hasCommand = false;
  for (const [at, line] of text.replace(/\n$/, "").split("\n").entries()) {
    if (line.startsWith(INDENT)) {
      if (!hasCommand) throw new Error(`${name}:${at + 1}: output without a command`);
      continue;
    }
    lines.push(line);
    hasCommand = line !== "" && !line.startsWith("#");
    if (!hasCommand) continue;
    const said = runLine(cluster, line, `${name}:${at + 1}`);
    lines.push(...said.map((one) => INDENT + one));
  }
  return `${lines.join("\n")}\n`;
}

function runLine(cluster: Cluster, line: string, where: string): readonly string[] {
  const isQuiet = line.startsWith(QUIET);
  try {
    runCommand(cluster, new Words(isQuiet ? line.slice(QUIET.length) : line));
  } catch (error) {
    const problem = error instanceof Error ? error.message : String(error);
    throw new Error(`${where}: ${problem}`, { cause: error });
  }
  const lines = cluster.takeLines();
  return isQuiet ? [] : lines;
}
