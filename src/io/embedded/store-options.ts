import { isIP } from "node:net";
import { parseArgs } from "node:util";
import { err, ok, type Result } from "../../base/result.ts";
import type { Retention } from "./auto-compactor.ts";
import { parsePeriodUs } from "./period.ts";
import type { TlsFiles } from "./tls-credentials.ts";

export const STORE_USAGE = `Usage: podloom store [options]
       podloom store dump DIR                     print all contents of a data folder as JSON lines
       podloom store restore DIR [< lines]        make a data folder of such lines; DIR must be empty or missing
       podloom store check DIR                    verify a data folder and say what is wrong with it, and where

Serves the etcd v3 API (KV, Lease, Watch, member list, status, alarms) on a socket, for etcdctl, nodes and any etcd client.
With --data, whatever a client was told is on the disk and survives a kill or a power cut. Without it the contents are in
memory, gone when this process ends, and the cluster id in every reply changes, by which clients notice.

Options:
  --listen ADDRESS:PORT            where to serve; port 0 picks a free one (default 127.0.0.1:2379)
  --data DIR                       folder to keep the contents in; it is made when it is missing
  --ephemeral                      keep the contents in memory only, whatever --data says
  --auto-compaction-mode MODE      what the retention counts: revision (default) or periodic
  --auto-compaction-retention N    history to keep: so many revisions, or for periodic a time as 90s, 30m, 1h (a bare number
                                   is hours); 0 for all (default 10000 revisions)
  --quota-backend-bytes N          size at which writes are refused, "database space exceeded" (default 2 GiB)
  --max-request-bytes N            largest write, in bytes (default 1.5 MiB)
  --max-txn-ops N                  most operations in a transaction (default 128)
  --cert-file, --key-file FILE     serve TLS with this certificate and key (PEM)
  --trusted-ca-file FILE           ask clients for a certificate, and accept those that this CA signed
  --insecure-listen-any            allow --listen on an address that other machines can reach without --trusted-ca-file. There
                                   is no password: whoever reaches the port owns the contents
  --control-stdin                  end when stdin ends, so that nothing is left behind when the parent dies
  -h, --help                       print this

Prints one JSON line when it serves: {"ready":true,"port":…,"pid":…,…}. SIGTERM and SIGINT end it.
`;

/** etcd's defaults, but for the compaction: etcd's is off. */
const DEFAULTS = {
  retentionRevisions: 10_000,
  quotaBytes: 2 * 1024 ** 3,
  requestBytes: 1.5 * 1024 ** 2,
  txnOps: 128,
} as const;

export interface StoreLimits {
  readonly retention: Retention;
  readonly quotaBytes: number;
  /** A write larger than this is refused. */
  readonly requestBytesMax: number;
  readonly txnOpsMax: number;
}

export const DEFAULT_LIMITS: StoreLimits = {
  retention: { mode: "revision", revisions: DEFAULTS.retentionRevisions },
  quotaBytes: DEFAULTS.quotaBytes,
  requestBytesMax: DEFAULTS.requestBytes,
  txnOpsMax: DEFAULTS.txnOps,
};

export interface StoreOptions {
  readonly host: string;
  readonly port: number;
  /** Undefined: in memory. */
  readonly data: string | undefined;
  readonly limits: StoreLimits;
  readonly tls: TlsFiles | undefined;
  readonly controlStdin: boolean;
}

/**
 * Parses the arguments of `podloom store`.
 * @param argv without the program and without `store`
 * The error is a sentence for the terminal; "help" when help was asked for.
 */
export function parseStoreOptions(argv: readonly string[]): Result<StoreOptions | "help", string> {
  let values: Values;
  try {
    values = parse(argv);
  } catch (thrown) {
    return err(thrown instanceof Error ? thrown.message : String(thrown));
  }
  if (values.help) return ok("help");
  const tls = parseTls(values);
  if (!tls.ok) return tls;
  const listen = parseListen(values.listen);
  if (listen === undefined) {
    return err(
      `--listen "${values.listen}" is not an IP address and a port; write it as 127.0.0.1:2379 or [::1]:2379`,
    );
  }
  const guarded = listen.loopback || tls.value?.trustedCaFile !== undefined;
  if (!guarded && !values["insecure-listen-any"]) {
    return err(
      `--listen ${values.listen} could be reached by other machines, and the store has no password. ` +
        "Listen on 127.0.0.1, ask for certificates with --trusted-ca-file, or say --insecure-listen-any",
    );
  }
  const limits = parseLimits(values);
  if (!limits.ok) return limits;
  return ok({
    host: listen.host,
    port: listen.port,
    data: values.ephemeral ? undefined : values.data,
    limits: limits.value,
    tls: tls.value,
    controlStdin: values["control-stdin"],
  });
}

type Values = ReturnType<typeof parse>;

function parse(argv: readonly string[]) {
  const { values } = parseArgs({
    args: [...argv],
    allowPositionals: false,
    strict: true,
    options: {
      listen: { type: "string", default: "127.0.0.1:2379" },
      data: { type: "string" },
      ephemeral: { type: "boolean", default: false },
      "auto-compaction-mode": { type: "string", default: "revision" },
      "auto-compaction-retention": { type: "string" },
      "quota-backend-bytes": { type: "string" },
      "max-request-bytes": { type: "string" },
      "max-txn-ops": { type: "string" },
      "cert-file": { type: "string" },
      "key-file": { type: "string" },
      "trusted-ca-file": { type: "string" },
      "client-cert-auth": { type: "boolean", default: false },
      "insecure-listen-any": { type: "boolean", default: false },
      "control-stdin": { type: "boolean", default: false },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  return values;
}

function parseTls(values: Values): Result<TlsFiles | undefined, string> {
  const certFile = values["cert-file"];
  const keyFile = values["key-file"];
  const trustedCaFile = values["trusted-ca-file"];
  if (values["client-cert-auth"] && trustedCaFile === undefined)
    return err("--client-cert-auth needs --trusted-ca-file: whose certificates to accept");
  if (certFile !== undefined && keyFile !== undefined) return ok({ certFile, keyFile, trustedCaFile });
  if (certFile === undefined && keyFile === undefined && trustedCaFile === undefined) return ok(undefined);
  return err("TLS needs both --cert-file and --key-file");
}

function parseLimits(values: Values): Result<StoreLimits, string> {
  const retention = parseRetention(values["auto-compaction-mode"], values["auto-compaction-retention"]);
  if (!retention.ok) return retention;
  const numbers: Record<string, number> = {};
  for (const [flag, fallback] of [
    ["quota-backend-bytes", DEFAULTS.quotaBytes],
    ["max-request-bytes", DEFAULTS.requestBytes],
    ["max-txn-ops", DEFAULTS.txnOps],
  ] as const) {
    const text = values[flag];
    const number = text === undefined ? fallback : wholeNumber(text);
    if (number === undefined || number === 0) return err(`--${flag} must be a whole number above 0`);
    numbers[flag] = number;
  }
  return ok({
    retention: retention.value,
    quotaBytes: numbers["quota-backend-bytes"] as number,
    requestBytesMax: numbers["max-request-bytes"] as number,
    txnOpsMax: numbers["max-txn-ops"] as number,
  });
}

function parseRetention(mode: string, text: string | undefined): Result<Retention, string> {
  switch (mode) {
    case "revision": {
      const revisions = text === undefined ? DEFAULTS.retentionRevisions : wholeNumber(text);
      if (revisions === undefined) {
        return err(
          "--auto-compaction-retention must be a whole number of revisions; for a time, add --auto-compaction-mode periodic",
        );
      }
      return ok(revisions === 0 ? { mode: "off" } : { mode: "revision", revisions });
    }
    case "periodic": {
      const periodUs = parsePeriodUs(text ?? "0");
      if (periodUs === undefined)
        return err(`--auto-compaction-retention "${text}" is not a time; write it as 90s, 30m or 1h30m`);
      return ok(periodUs === 0 ? { mode: "off" } : { mode: "periodic", periodUs });
    }
    default:
      return err(`--auto-compaction-mode is revision or periodic, not "${mode}"`);
  }
}

function wholeNumber(text: string): number | undefined {
  const number = Number(text);
  return /^\d+$/.test(text) && Number.isSafeInteger(number) ? number : undefined;
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
