import { isIP } from "node:net";
import { parseArgs } from "node:util";
import { err, ok, type Result } from "../../base/result.ts";

export const STORE_USAGE = `Usage: podloom store [options]

Serves the etcd v3 API (KV, Lease, Watch, member list, status) on a socket, for etcdctl, nodes and any etcd client.
The contents live in memory: they are gone when this process ends, and the cluster id in every reply changes, by
which clients notice.

Options:
  --listen ADDRESS:PORT            where to serve; port 0 picks a free one (default 127.0.0.1:2379)
  --data DIR                       folder for the file cluster-id, which names this run; no contents are kept in it
  --ephemeral                      keep the contents in memory only (what it does in any case)
  --auto-compaction-retention N    revisions of history to keep, 0 for all (default 10000)
  --insecure-listen-any            allow --listen on an address that other machines can reach. There is no password and
                                   no encryption: whoever reaches the port owns the contents
  --control-stdin                  end when stdin ends, so that nothing is left behind when the parent dies
  -h, --help                       print this

Prints one JSON line when it serves: {"ready":true,"port":…,"pid":…,…}. SIGTERM and SIGINT end it.
`;

export interface StoreOptions {
  readonly host: string;
  readonly port: number;
  readonly data: string | undefined;
  readonly autoCompactionRetention: number;
  readonly controlStdin: boolean;
}

/**
 * Parses the arguments of `podloom store`.
 * @param argv without the program and without `store`
 * The error is a sentence for the terminal; "help" when help was asked for.
 */
export function parseStoreOptions(argv: readonly string[]): Result<StoreOptions | "help", string> {
  let values: ReturnType<typeof parse>;
  try {
    values = parse(argv);
  } catch (thrown) {
    return err(thrown instanceof Error ? thrown.message : String(thrown));
  }
  if (values.help) return ok("help");
  const listen = parseListen(values.listen);
  if (listen === undefined) {
    return err(
      `--listen "${values.listen}" is not an IP address and a port; write it as 127.0.0.1:2379 or [::1]:2379`,
    );
  }
  if (!listen.loopback && !values["insecure-listen-any"]) {
    return err(
      `--listen ${values.listen} could be reached by other machines, and the store has no password. ` +
        "Listen on 127.0.0.1, or say --insecure-listen-any",
    );
  }
  const retention = Number(values["auto-compaction-retention"]);
  if (!/^\d+$/.test(values["auto-compaction-retention"]) || !Number.isSafeInteger(retention)) {
    return err("--auto-compaction-retention must be a whole number of revisions");
  }
  return ok({
    host: listen.host,
    port: listen.port,
    data: values.data,
    autoCompactionRetention: retention,
    controlStdin: values["control-stdin"],
  });
}

function parse(argv: readonly string[]) {
  const { values } = parseArgs({
    args: [...argv],
    allowPositionals: false,
    strict: true,
    options: {
      listen: { type: "string", default: "127.0.0.1:2379" },
      data: { type: "string" },
      ephemeral: { type: "boolean", default: false },
      "auto-compaction-retention": { type: "string", default: "10000" },
      "insecure-listen-any": { type: "boolean", default: false },
      "control-stdin": { type: "boolean", default: false },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  return values;
}

interface Listen {
  /** As it goes into an address: IPv6 in brackets. */
  readonly host: string;
  readonly port: number;
  readonly loopback: boolean;
}

function parseListen(text: string): Listen | undefined {
  const match = /^(\[[^\]]+\]|[^:]+):(\d{1,5})$/.exec(text);
  if (match === null) return undefined;
  const host = match[1] as string;
  const port = Number(match[2]);
  const address = host.replace(/^\[|\]$/g, "");
  const family = isIP(address);
  // An IPv6 address needs its brackets, and nothing else may have them.
  if (port > 65_535 || family === 0 || (family === 6) !== host.startsWith("[")) return undefined;
  return { host, port, loopback: family === 4 ? address.startsWith("127.") : address === "::1" };
}
