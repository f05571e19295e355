import { NAME_PATTERN, NAME_RULE } from "../base/name-rule.ts";
import { PodloomError } from "../io/podloom-error.ts";

/** May a lab be named so? */
export function isLabName(name: string): boolean {
  return NAME_PATTERN.test(name);
}

/** A name becomes a part of paths: what comes from a command line is checked first. @throws PodloomError PL_USAGE */
export function requireLabName(name: string): void {
  if (isLabName(name)) return;
  throw new PodloomError("PL_USAGE", `"${name}" cannot be a lab's name`, {
    remedy: `A lab's name is ${NAME_RULE}.`,
  });
}
