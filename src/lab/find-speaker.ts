// The command line's way to a BGP speaker that runs: by its name, by its socket, or because there is no other.
import { NAME_PATTERN, NAME_RULE } from "../base/name-rule.ts";
import { nearestWord } from "../base/nearest-word.ts";
import { connectSocket } from "../io/ipc/client.ts";
import { SpeakerClient } from "../io/ipc/speaker-client.ts";
import { type FoundSpeaker, findSpeakers, speakerSocket } from "../io/ipc/speaker-socket.ts";
import { PodloomError } from "../io/podloom-error.ts";
import type { Environment } from "../io/xdg-folders.ts";

/** Which speaker is meant; nothing: the only one. */
export interface WhichSpeaker {
  readonly name: string | undefined;
  readonly socket: string | undefined;
}

/** How many names a message lists. */
const NAMES_MAX = 20;

/** A speaker that answers, and how it is called for people. The caller closes the client. */
export interface ConnectedSpeaker {
  readonly name: string;
  readonly client: SpeakerClient;
}

/**
 * Connects to the speaker that is meant.
 *
 * @throws PodloomError PL_NO_SPEAKER, PL_AMBIGUOUS_SPEAKER, PL_USAGE, and others of `connectIpc`
 */
export async function connectSpeaker(env: Environment, which: WhichSpeaker): Promise<ConnectedSpeaker> {
  const { name, socket } = which;
  if (socket !== undefined) {
    if (name !== undefined) {
      throw new PodloomError(
        "PL_USAGE",
        "a speaker has a name or a socket: --speaker and --socket exclude each other",
        {
          remedy: "Give one of the two.",
        },
      );
    }
    return { name: socket, client: await SpeakerClient.connect(socket) };
  }
  if (name !== undefined) return { name, client: await byName(env, name) };
  const only = await onlyOne(env);
  return { name: only.name, client: await SpeakerClient.connect(only.path) };
}

async function byName(env: Environment, name: string): Promise<SpeakerClient> {
  // It becomes a part of a path.
  if (!NAME_PATTERN.test(name)) {
    throw new PodloomError("PL_USAGE", `"${name}" cannot be a speaker's name`, {
      remedy: `A speaker's name is ${NAME_RULE}; a path goes with --socket.`,
    });
  }
  try {
    return await SpeakerClient.connect(speakerSocket(name, env));
  } catch (thrown) {
    if (!(thrown instanceof PodloomError) || thrown.code !== "PL_SOCKET_GONE") throw thrown;
    const names = (await runningSpeakers(env)).map((one) => one.name);
    if (names.length === 0) throw noSpeaker(`no speaker "${name}" runs; none runs`);
    const near = nearestWord(name, names);
    throw new PodloomError("PL_NO_SPEAKER", `no speaker "${name}" runs; there are ${list(names)}`, {
      remedy: near === undefined ? "Say which with --speaker NAME." : `Did you mean "${near}"?`,
      cause: thrown,
    });
  }
}

async function onlyOne(env: Environment): Promise<FoundSpeaker> {
  const speakers = await runningSpeakers(env);
  const [only, second] = speakers;
  if (only === undefined) throw noSpeaker("no BGP speaker runs");
  if (second === undefined) return only;
  throw new PodloomError(
    "PL_AMBIGUOUS_SPEAKER",
    `several speakers run: ${list(speakers.map(({ name }) => name))}`,
    { remedy: "Say which with --speaker NAME." },
  );
}

/** Those whose sockets answer: one that was killed has left its own behind. */
async function runningSpeakers(env: Environment): Promise<FoundSpeaker[]> {
  const found = findSpeakers(env);
  const answers = await Promise.all(found.map(({ path }) => listens(path)));
  return found.filter((_, i) => answers[i] === true);
}

async function listens(path: string): Promise<boolean> {
  try {
    (await connectSocket(path)).destroy();
    return true;
  } catch (thrown) {
    const { code } = thrown as NodeJS.ErrnoException;
    // Any other fault is for whoever connects in earnest to tell.
    return code !== "ENOENT" && code !== "ECONNREFUSED" && code !== "ENOTSOCK";
  }
}

function noSpeaker(message: string): PodloomError {
  return new PodloomError("PL_NO_SPEAKER", message, {
    remedy: "Start one with: podloom bgp -f FILE; or say where it listens with --socket PATH.",
  });
}

function list(names: readonly string[]): string {
  const more = names.length - NAMES_MAX;
  return names.slice(0, NAMES_MAX).join(", ") + (more > 0 ? ` and ${more} more` : "");
}
