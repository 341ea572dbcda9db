/**
 * The words of a Lua 5.1 text, with the line of each. Comments and blanks are gone; escapes in strings are
 * resolved, and text beyond ASCII becomes its UTF-8 bytes, as Redis would see it.
 */

export interface Token {
  readonly type: "name" | "keyword" | "string" | "number" | "symbol" | "end";
  readonly text: string;
  readonly line: number;
}

const KEYWORDS = new Set(
  (
    "and break do else elseif end false for function if in local nil not or repeat return then true until " +
    "while"
  ).split(" "),
);

const SYMBOLS = "... .. == ~= <= >= + - * / % ^ # < > = ( ) { } [ ] ; : , .".split(" ");
const ESCAPES: Readonly<Record<string, string>> = {
  n: "\n", t: "\t", r: "\r", a: "\u0007", b: "\b", f: "\f", v: "\v",
  "\\": "\\", '"': '"', "'": "'", "\n": "\n",
};

export function tokensOf(source: string): Token[] {
  const text = Buffer.from(source, "utf8").toString("latin1");
  const tokens: Token[] = [];
  let line = 1;
  for (let at = 0; at < text.length; ) {
    const blank = /^(?:[ \t\r\n]+|--\[\[[\s\S]*?\]\]|--[^\n]*)/.exec(text.slice(at, at + 4096))?.[0];
    if (blank !== undefined) {
      line += blank.split("\n").length - 1;
      at += blank.length;
      continue;
    }
    const [token, length] = tokenAt(text, at, line);
    tokens.push(token);
    line += text.slice(at, at + length).split("\n").length - 1;
    at += length;
  }
  tokens.push({ type: "end", text: "end of file", line });
  return tokens;
}

function tokenAt(text: string, at: number, line: number): [Token, number] {
  const rest = text.slice(at, at + 256);
  const name = /^[A-Za-z_]\w*/.exec(rest)?.[0];
  if (name !== undefined) {
    return [{ type: KEYWORDS.has(name) ? "keyword" : "name", text: name, line }, name.length];
  }
  const number = /^(?:0[xX][0-9a-fA-F]+|(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)/.exec(rest)?.[0];
  if (number !== undefined) return [{ type: "number", text: String(Number(number)), line }, number.length];
  if (rest[0] === '"' || rest[0] === "'") return quoted(text, at, line);
  if (rest.startsWith("[[")) {
    const end = text.indexOf("]]", at);
    if (end < 0) throw new Error(`line ${line}: a long string without an end`);
    return [{ type: "string", text: text.slice(at + 2, end).replace(/^\n/, ""), line }, end + 2 - at];
  }
  const symbol = SYMBOLS.find((each) => rest.startsWith(each));
  if (symbol === undefined) throw new Error(`line ${line}: unexpected ${JSON.stringify(rest[0])}`);
  return [{ type: "symbol", text: symbol, line }, symbol.length];
}

function quoted(text: string, at: number, line: number): [Token, number] {
  const quote = text[at];
  let value = "";
  for (let cursor = at + 1; cursor < text.length; cursor += 1) {
    const char = text[cursor] as string;
    if (char === quote) return [{ type: "string", text: value, line }, cursor + 1 - at];
    if (char === "\n") break;
    if (char !== "\\") {
      value += char;
      continue;
    }
    const digits = /^\d{1,3}/.exec(text.slice(cursor + 1, cursor + 4))?.[0];
    if (digits !== undefined) {
      value += String.fromCharCode(Number(digits));
      cursor += digits.length;
      continue;
    }
    cursor += 1;
    const escaped = ESCAPES[text[cursor] as string];
    if (escaped === undefined) throw new Error(`line ${line}: unknown escape \\${text[cursor]}`);
    value += escaped;
  }
  throw new Error(`line ${line}: a string without an end`);
}
