// Where the sockets of BGP speakers are, so that the command line finds them by name.
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { type Environment, runtimeRoot } from "../xdg-folders.ts";

const SUFFIX = ".sock";

/** The folder in which all speakers of this user have their sockets. */
export function speakerFolder(env: Environment): string {
  return join(runtimeRoot(env), "bgp");
}

/** `$XDG_RUNTIME_DIR/podloom/bgp/NAME.sock`. @param name must have been checked: it becomes a file's name */
export function speakerSocket(name: string, env: Environment): string {
  return join(speakerFolder(env), `${name}${SUFFIX}`);
}

/** A socket that is there, whether or not anybody listens on it. */
export interface FoundSpeaker {
  readonly name: string;
  readonly path: string;
}

/** Those that are in the folder, by name. */
export function findSpeakers(env: Environment): FoundSpeaker[] {
  const folder = speakerFolder(env);
  let names: string[];
  try {
    names = readdirSync(folder);
  } catch {
    // There was no speaker yet.
    return [];
  }
  return names
    .filter((file) => file.endsWith(SUFFIX) && !file.startsWith("."))
    .sort()
    .map((file) => ({ name: file.slice(0, -SUFFIX.length), path: join(folder, file) }));
}
