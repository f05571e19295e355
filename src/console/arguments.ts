import { err, ok, type Result } from "../base/result.ts";

export interface ArgumentShape {
  /** Names of `--flag`s without a value. */
  readonly flags: readonly string[];
  /** Names of `--option`s with a number that is not negative. */
  readonly numbers: readonly string[];
}

export interface Arguments {
  readonly flags: ReadonlySet<string>;
  readonly numbers: ReadonlyMap<string, number>;
  readonly rest: readonly string[];
}

/** Arguments of podloom's own pod commands; the classical ones have grammars of their own. */
export function parseArguments(argv: readonly string[], shape: ArgumentShape): Result<Arguments, string> {
  const flags = new Set<string>();
  const numbers = new Map<string, number>();
  const rest: string[] = [];
  for (let i = 0; i < argv.length; i++) {
    const arg = argv[i] as string;
    if (!arg.startsWith("--")) {
      rest.push(arg);
      continue;
    }
    const name = arg.slice(2);
    if (shape.flags.includes(name)) {
      flags.add(name);
    } else if (shape.numbers.includes(name)) {
      const text = argv[++i] ?? "";
      if (!/^\d{1,15}(\.\d{1,6})?$/.test(text)) return err(`${arg} needs a number, not "${text}"`);
      numbers.set(name, Number(text));
    } else {
      return err(`unknown option ${arg}`);
    }
  }
  return ok({ flags, numbers, rest });
}
