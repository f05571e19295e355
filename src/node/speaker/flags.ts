// `podloom bgp …`: its flags.
import { parseArgs } from "node:util";
import { NAME_PATTERN, NAME_RULE } from "../../base/name-rule.ts";
import { LOG_LEVELS, type LogLevel } from "../../io/logger.ts";
import { messageOf, PodloomError } from "../../io/podloom-error.ts";
import { type HostPort, parseHostPort } from "./file/values.ts";

export const SPEAKER_USAGE = `podloom bgp: run a BGP speaker

  -f, --file FILE          the speaker's file, YAML or JSON (default bgp.yaml); SIGHUP reads it again
  --check                  say what is wrong with the file, and end: exit code 0 or 2
  --name NAME              the speaker's name (default: the file's key \`name\`, else the file's own name)
  --socket PATH            where it can be asked (default $XDG_RUNTIME_DIR/podloom/bgp/NAME.sock)
  --log-level LEVEL        ${LOG_LEVELS.join(", ")} (default info)
  --log-file FILE          write the log there and not to standard error
  --capture FILE           write what the sessions say to a pcapng file, for Wireshark
  --metrics ADDR:PORT      answer Prometheus; off this machine only with PODLOOM_METRICS_TOKEN
  --restarting             it was there a moment ago: ask the neighbors for graceful restart
  --help                   this text

It runs until SIGTERM or SIGINT, and then tells its neighbors (Cease, administrative shutdown).
Ask it with \`podloom get bgp\` and \`podloom birdc\`. examples/bgp has files to begin with.
`;

const OPTIONS = {
  file: { type: "string", short: "f" },
  check: { type: "boolean" },
  name: { type: "string" },
  socket: { type: "string" },
  "log-level": { type: "string" },
  "log-file": { type: "string" },
  capture: { type: "string" },
  metrics: { type: "string" },
  restarting: { type: "boolean" },
  help: { type: "boolean", short: "h" },
} as const;

export interface SpeakerFlags {
  readonly file: string;
  readonly check: boolean;
  readonly name: string | undefined;
  readonly socket: string | undefined;
  readonly logLevel: LogLevel;
  readonly logFile: string | undefined;
  readonly capture: string | undefined;
  readonly metrics: HostPort | undefined;
  readonly restarting: boolean;
}

/** Reads the arguments after `podloom bgp`. Undefined: they ask for help. @throws PodloomError PL_USAGE */
export function parseSpeakerFlags(argv: readonly string[]): SpeakerFlags | undefined {
  const given = parse(argv);
  if (given.help === true) return undefined;
  const { file = "bgp.yaml", name, socket, capture, restarting = false, check = false } = given;
  for (const [flag, value] of Object.entries({
    file,
    name,
    socket,
    capture,
    "log-file": given["log-file"],
  })) {
    if (value === "") throw usageError(`--${flag} must not be empty`);
  }
  if (name !== undefined && !NAME_PATTERN.test(name)) {
    throw usageError(`--name "${name}" will not do; a name is ${NAME_RULE}`);
  }
  const logLevel = LOG_LEVELS.find((level) => level === (given["log-level"] ?? "info"));
  if (logLevel === undefined) {
    throw usageError(`--log-level "${given["log-level"]}" will not do; give one of ${LOG_LEVELS.join(", ")}`);
  }
  const metrics = given.metrics === undefined ? undefined : parseHostPort(given.metrics);
  if (given.metrics !== undefined && metrics === undefined) {
    throw usageError(
      `--metrics "${given.metrics}" will not do; give an address and a port like 127.0.0.1:9179`,
    );
  }
  return { file, check, name, socket, logLevel, logFile: given["log-file"], capture, metrics, restarting };
}

function parse(argv: readonly string[]) {
  try {
    return parseArgs({ args: [...argv], options: OPTIONS, allowPositionals: false }).values;
  } catch (thrown) {
    // Node's own sentences name the flag; what follows the first is advice about positional arguments, of which there are none.
    throw usageError(messageOf(thrown).split(". To specify")[0] as string);
  }
}

function usageError(message: string): PodloomError {
  return new PodloomError("PL_USAGE", message, { remedy: "`podloom bgp --help` lists the flags." });
}
