/**
 * Lua 5.1 to JavaScript in one pass. Its one idea: a statement stands on the line of the result on which it
 * stood in Lua, so that an error's stack names the line of the script. Locals become locals, a Lua function
 * one that returns a list. Not had, because Redis scripts have no use for them: goto, metatables,
 * coroutines, globals of one's own. Whatever is not understood is an error, never something near it.
 */
import { type Token, tokensOf } from "./lex.ts";

interface Expression {
  /** JavaScript for its one value. */
  readonly code: string;
  /** JavaScript for all of its values: of calls and `...`. */
  readonly list?: string;
  /** JavaScript for whether it is true. */
  readonly test?: string;
  readonly target?: (value: string) => string;
  readonly isCall?: boolean;
}

/** Left and right binding power; the right one is lower where the operator groups from the right. */
const BINARY: Readonly<Record<string, readonly [number, number]>> = {
  or: [1, 1], and: [2, 2],
  "<": [3, 3], ">": [3, 3], "<=": [3, 3], ">=": [3, 3], "~=": [3, 3], "==": [3, 3],
  "..": [5, 4], "+": [6, 6], "-": [6, 6], "*": [7, 7], "/": [7, 7], "%": [7, 7], "^": [10, 9],
};
const UNARY_POWER = 8;
const ARITHMETIC: Readonly<Record<string, string>> = {
  "+": "add", "-": "sub", "*": "mul", "/": "div", "%": "mod", "^": "pow", "..": "concat",
};
const COMPARISON: Readonly<Record<string, (a: string, b: string) => string>> = {
  "<": (a, b) => `less(${a}, ${b})`,
  ">": (a, b) => `less(${b}, ${a})`,
  "<=": (a, b) => `lessOrEqual(${a}, ${b})`,
  ">=": (a, b) => `lessOrEqual(${b}, ${a})`,
  "==": (a, b) => `(${a} === ${b})`,
  "~=": (a, b) => `(${a} !== ${b})`,
};
/** Before a statement, its line; no quoted string has this character. */
const LINE_MARK = "\uE000";
const LINE_MARKS = /\uE000(\d+);/g;
const BLOCK_ENDS = new Set(["end", "else", "elseif", "until", "end of file"]);

/**
 * The body of a JavaScript function that returns the script's values. Its parameters are the operators
 * under their names and `globals`, what the script may read, under `globalName`.
 */
export function compileLua(source: string, globals: readonly string[]): string {
  return placeLines(new Compiler(tokensOf(source), globals).chunk());
}

export function globalName(name: string): string {
  return `global$${name}`;
}

class Compiler {
  readonly #tokens: readonly Token[];
  #at = 0;
  #names = 0;
  readonly #scopes: Map<string, string>[];
  /** Of each function around the cursor: its scratch variables, and whether it has `...`. */
  readonly #functions: { temps: string[]; varargs: boolean }[] = [];

  constructor(tokens: readonly Token[], globals: readonly string[]) {
    this.#tokens = tokens;
    this.#scopes = [new Map(globals.map((name) => [name, globalName(name)]))];
  }

  chunk(): string {
    const code = this.#functionCode(() => this.#block(), false);
    if (this.#token.type !== "end") this.#fail("the end of the script");
    return `return (() => {${code}})();`;
  }

  get #token(): Token {
    return this.#tokens[this.#at] as Token;
  }

  #is(text: string): boolean {
    const { type } = this.#token;
    return this.#token.text === text && (type === "symbol" || type === "keyword");
  }

  #take(text: string): boolean {
    if (!this.#is(text)) return false;
    this.#at += 1;
    return true;
  }

  #expect(text: string): void {
    if (!this.#take(text)) this.#fail(`"${text}"`);
  }

  #name(): string {
    const { type, text } = this.#token;
    if (type !== "name") this.#fail("a name");
    this.#at += 1;
    return text;
  }

  #fail(wanted: string): never {
    throw new Error(`line ${this.#token.line}: wanted ${wanted}, got "${this.#token.text}"`);
  }

  #fresh(stem: string): string {
    this.#names += 1;
    return `${stem}$${this.#names}`;
  }

  #temp(): string {
    const name = this.#fresh("");
    this.#functions.at(-1)?.temps.push(name);
    return name;
  }

  #declare(name: string): string {
    const code = this.#fresh(name);
    this.#scopes.at(-1)?.set(name, code);
    return code;
  }

  #scoped<T>(body: () => T): T {
    this.#scopes.push(new Map());
    const result = body();
    this.#scopes.pop();
    return result;
  }

  #functionCode(body: () => string, varargs: boolean): string {
    const context = { temps: [] as string[], varargs };
    this.#functions.push(context);
    const code = this.#scoped(body);
    this.#functions.pop();
    const temps = context.temps.length > 0 ? `let ${context.temps.join(", ")};` : "";
    return `${temps}${code} return NONE;`;
  }

  #block(): string {
    let code = "";
    while (!BLOCK_ENDS.has(this.#token.text) || this.#token.type === "string") {
      code += `${LINE_MARK}${this.#token.line};${this.#statement()}`;
      this.#take(";");
    }
    return code;
  }

  #innerBlock(): string {
    return this.#scoped(() => this.#block());
  }

  #statement(): string {
    const { type, text } = this.#token;
    if (type !== "keyword") return this.#expressionStatement();
    switch (text) {
      case "local":
        return this.#local();
      case "if":
        return this.#if();
      case "while":
        return this.#while();
      case "repeat":
        return this.#repeat();
      case "for":
        return this.#for();
      case "function":
        return this.#namedFunction();
      case "return":
        return this.#return();
      case "break":
        this.#at += 1;
        return "break;";
      case "do": {
        this.#at += 1;
        const body = this.#innerBlock();
        this.#expect("end");
        return `{${body}}`;
      }
      default:
        return this.#fail("a statement");
    }
  }

  #local(): string {
    this.#at += 1;
    if (this.#take("function")) {
      const name = this.#declare(this.#name());
      return `let ${name}; ${name} = ${this.#function()};`;
    }
    const names = [this.#name()];
    while (this.#take(",")) names.push(this.#name());
    const values = this.#take("=") ? this.#expressions() : [];
    const declared = names.map((name) => this.#declare(name));
    if (values.length === 0) return `let ${declared.join(", ")};`;
    if (values.length === names.length) {
      return `let ${declared.map((name, at) => `${name} = ${values[at]?.code}`).join(", ")};`;
    }
    const all = this.#temp();
    const parts = declared.map((name, at) => `${name} = ${all}[${at}]`);
    return `${all} = ${listOf(values)}; let ${parts.join(", ")};`;
  }

  #if(): string {
    let code = "";
    do {
      this.#at += 1;
      const test = testOf(this.#expression());
      this.#expect("then");
      code += `${code === "" ? "" : " else "}if (${test}) {${this.#innerBlock()}}`;
    } while (this.#is("elseif"));
    if (this.#take("else")) code += ` else {${this.#innerBlock()}}`;
    this.#expect("end");
    return code;
  }

  #while(): string {
    this.#at += 1;
    const test = testOf(this.#expression());
    this.#expect("do");
    const body = this.#innerBlock();
    this.#expect("end");
    return `while (${test}) {${body}}`;
  }

  #repeat(): string {
    this.#at += 1;
    return this.#scoped(() => {
      const body = this.#block();
      this.#expect("until");
      return `for (;;) {${body} if (${testOf(this.#expression())}) break;}`;
    });
  }

  #for(): string {
    this.#at += 1;
    const names = [this.#name()];
    const isNumeric = this.#take("=");
    while (!isNumeric && this.#take(",")) names.push(this.#name());
    if (!isNumeric) this.#expect("in");
    const values = this.#expressions();
    this.#expect("do");
    const code = this.#scoped(() => {
      const declared = names.map((name) => this.#declare(name));
      const [first = ""] = declared;
      return isNumeric ? this.#countingFor(first, values) : this.#iteratorFor(declared, values);
    });
    this.#expect("end");
    return code;
  }

  #countingFor(name: string, [from, to, by]: readonly Expression[]): string {
    const [at, end, step] = [this.#fresh("at"), this.#fresh("end"), this.#fresh("step")];
    const start = `let ${at} = count(${from?.code}, "initial value"), ${end} = count(${to?.code}, "limit")`;
    const step0 = `${step} = ${by === undefined ? "1" : `count(${by.code}, "step")`}`;
    const goesOn = `${step} > 0 ? ${at} <= ${end} : ${at} >= ${end}`;
    return `for (${start}, ${step0}; ${goesOn}; ${at} += ${step}) {let ${name} = ${at}; ${this.#block()}}`;
  }

  #iteratorFor(names: readonly string[], values: readonly Expression[]): string {
    const each = this.#fresh("each");
    const declared = names.map((name, at) => `${name} = ${each}[${at}]`).join(", ");
    return `for (const ${each} of loop(${listOf(values)})) {let ${declared}; ${this.#block()}}`;
  }

  /** `function t.name(...)`: globals of a script's own do not exist, so `t` is a local table. */
  #namedFunction(): string {
    this.#at += 1;
    let target = this.#variable(this.#name());
    while (this.#take(".")) target = indexed(target.code, JSON.stringify(this.#name()));
    if (target.target === undefined) return this.#fail("a name that can be assigned");
    return `${target.target(this.#function())};`;
  }

  #return(): string {
    this.#at += 1;
    const isEmpty = this.#is(";") || (BLOCK_ENDS.has(this.#token.text) && this.#token.type !== "string");
    return isEmpty ? "return NONE;" : `return ${listOf(this.#expressions())};`;
  }

  #expressionStatement(): string {
    const first = this.#suffixed();
    if (first.isCall === true) return `${first.list};`;
    const targets = [first];
    while (this.#take(",")) targets.push(this.#suffixed());
    this.#expect("=");
    const values = this.#expressions();
    const store = (target: Expression, value: string): string => {
      if (target.target === undefined) return this.#fail("something that can be assigned");
      return `${target.target(value)};`;
    };
    if (targets.length === 1 && values.length === 1) return store(first, values[0]?.code as string);
    const all = this.#temp();
    const stored = targets.map((target, at) => store(target, `${all}[${at}]`));
    return `${all} = ${listOf(values)}; ${stored.join(" ")}`;
  }

  #function(): string {
    this.#expect("(");
    return this.#scoped(() => {
      const parameters: string[] = [];
      let varargs = false;
      while (!this.#take(")")) {
        varargs = this.#take("...");
        parameters.push(varargs ? "...varargs" : this.#declare(this.#name()));
        if (!this.#is(")")) this.#expect(",");
      }
      const body = this.#functionCode(() => this.#block(), varargs);
      this.#expect("end");
      return `((${parameters.join(", ")}) => {${body}})`;
    });
  }

  #expressions(): Expression[] {
    const all = [this.#expression()];
    while (this.#take(",")) all.push(this.#expression());
    return all;
  }

  #expression(powerMin = 0): Expression {
    let left = this.#unary();
    for (;;) {
      const { type, text } = this.#token;
      const power = type === "symbol" || type === "keyword" ? BINARY[text] : undefined;
      if (power === undefined || power[0] <= powerMin) return left;
      this.#at += 1;
      left = this.#binary(text, left, this.#expression(power[1]));
    }
  }

  #binary(operator: string, left: Expression, right: Expression): Expression {
    if (operator === "and" || operator === "or") {
      const kept = this.#temp();
      const [yes, no] = operator === "and" ? [right.code, kept] : [kept, right.code];
      return {
        code: `(truthy(${kept} = ${left.code}) ? ${yes} : ${no})`,
        test: `(${testOf(left)} ${operator === "and" ? "&&" : "||"} ${testOf(right)})`,
      };
    }
    const comparison = COMPARISON[operator];
    if (comparison === undefined) return { code: `${ARITHMETIC[operator]}(${left.code}, ${right.code})` };
    const code = comparison(left.code, right.code);
    return { code, test: code };
  }

  #unary(): Expression {
    if (this.#take("not")) {
      const code = `!${testOf(this.#expression(UNARY_POWER))}`;
      return { code, test: code };
    }
    if (this.#take("-")) return { code: `negate(${this.#expression(UNARY_POWER).code})` };
    if (this.#take("#")) return { code: `length(${this.#expression(UNARY_POWER).code})` };
    return this.#simple();
  }

  #simple(): Expression {
    const { type, text } = this.#token;
    if (type === "string") {
      this.#at += 1;
      return { code: JSON.stringify(text) };
    }
    if (type === "number") {
      this.#at += 1;
      return { code: text };
    }
    if (this.#take("nil")) return { code: "undefined", test: "false" };
    if (this.#take("true")) return { code: "true", test: "true" };
    if (this.#take("false")) return { code: "false", test: "false" };
    if (this.#take("function")) return { code: this.#function() };
    if (this.#is("{")) return this.#tableConstructor();
    if (this.#take("...")) {
      if (this.#functions.at(-1)?.varargs !== true) return this.#fail("a function with ...");
      return { code: "varargs[0]", list: "varargs" };
    }
    return this.#suffixed();
  }

  #variable(name: string): Expression {
    const code = this.#scopes.findLast((scope) => scope.has(name))?.get(name);
    if (code === undefined) return { code: `unknown(${JSON.stringify(name)})` };
    return { code, target: (value) => `${code} = ${value}` };
  }

  #suffixed(): Expression {
    let left: Expression;
    let name = "a value";
    if (this.#take("(")) {
      left = { code: this.#expression().code };
      this.#expect(")");
    } else {
      name = this.#name();
      left = this.#variable(name);
    }
    for (;;) {
      if (this.#take(".")) {
        name = this.#name();
        left = indexed(left.code, JSON.stringify(name));
      } else if (this.#take("[")) {
        left = indexed(left.code, this.#expression().code);
        this.#expect("]");
      } else if (this.#take(":")) {
        name = this.#name();
        const self = this.#temp();
        const method = `callee(index(${self}, ${JSON.stringify(name)}), ${JSON.stringify(name)})`;
        left = call(`(${self} = ${left.code}, ${method})`, [{ code: self }, ...this.#arguments()]);
      } else if (this.#is("(") || this.#is("{") || this.#token.type === "string") {
        left = call(`callee(${left.code}, ${JSON.stringify(name)})`, this.#arguments());
      } else {
        return left;
      }
    }
  }

  #arguments(): Expression[] {
    if (!this.#take("(")) return [this.#simple()];
    if (this.#take(")")) return [];
    const all = this.#expressions();
    this.#expect(")");
    return all;
  }

  #tableConstructor(): Expression {
    this.#expect("{");
    const entries: string[] = [];
    const items: Expression[] = [];
    while (!this.#take("}")) {
      if (this.#take("[")) {
        const key = this.#expression().code;
        this.#expect("]");
        this.#expect("=");
        entries.push(`[${key}, ${this.#expression().code}]`);
      } else if (this.#token.type === "name" && this.#tokens[this.#at + 1]?.text === "=") {
        const key = JSON.stringify(this.#name());
        this.#expect("=");
        entries.push(`[${key}, ${this.#expression().code}]`);
      } else {
        items.push(this.#expression());
      }
      if (!this.#is("}") && !this.#take(";")) this.#expect(",");
    }
    const list = items.length === 0 ? "NONE" : listOf(items);
    if (entries.length === 0) return { code: `new LuaTable(${list})` };
    return { code: `table([${entries.join(", ")}], ${list})` };
  }
}

function indexed(target: string, key: string): Expression {
  return { code: `index(${target}, ${key})`, target: (value) => `store(${target}, ${key}, ${value})` };
}

function call(callee: string, args: readonly Expression[]): Expression {
  const list = `${callee}(${spread(args)})`;
  return { code: `${list}[0]`, list, isCall: true };
}

function testOf({ code, test }: Expression): string {
  return test ?? `truthy(${code})`;
}

/** Values side by side; the last one with all that it has. */
function spread(values: readonly Expression[]): string {
  const last = values.length - 1;
  return values
    .map(({ code, list }, at) => (at === last && list !== undefined ? `...${list}` : code))
    .join(", ");
}

function listOf(values: readonly Expression[]): string {
  const [only] = values;
  return values.length === 1 && only?.list !== undefined ? only.list : `[${spread(values)}]`;
}

/** Breaks the lines so that each statement stands on its own number, as far as that is possible. */
function placeLines(code: string): string {
  let line = 1;
  return code.replaceAll(LINE_MARKS, (_, wanted: string) => {
    const missing = Math.max(0, Number(wanted) - line);
    line += missing;
    return "\n".repeat(missing);
  });
}
