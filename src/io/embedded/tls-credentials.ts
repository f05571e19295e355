import { readFileSync } from "node:fs";
import { ServerCredentials } from "@grpc/grpc-js";
import { messageOf, PodloomError } from "../podloom-error.ts";

/** Paths of PEM files, named as etcd's flags are. */
export interface TlsFiles {
  readonly certFile: string;
  readonly keyFile: string;
  /** Who signs the clients' certificates; without it, none is asked for. */
  readonly trustedCaFile: string | undefined;
}

/** @throws PodloomError PL_STORE_TLS */
export function tlsCredentials(files: TlsFiles): ServerCredentials {
  const ca = files.trustedCaFile === undefined ? null : read("--trusted-ca-file", files.trustedCaFile);
  const pair = {
    cert_chain: read("--cert-file", files.certFile),
    private_key: read("--key-file", files.keyFile),
  };
  try {
    return ServerCredentials.createSsl(ca, [pair], ca !== null);
  } catch (cause) {
    throw new PodloomError("PL_STORE_TLS", `the certificate cannot be used: ${messageOf(cause)}`, {
      remedy: "Give --cert-file and --key-file a certificate and the key that belongs to it, in PEM.",
      cause,
    });
  }
}

function read(flag: string, path: string): Buffer {
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
  } catch (cause) {
    throw new PodloomError("PL_STORE_TLS", `cannot read ${flag} ${path}: ${messageOf(cause)}`, {
      remedy: `Give ${flag} a PEM file that you may read.`,
      cause,
    });
  }
  if (bytes.includes("-----BEGIN ")) return bytes;
  throw new PodloomError("PL_STORE_TLS", `${flag} ${path} is not PEM`, {
    remedy: "Convert it (openssl x509 or openssl pkey, -outform PEM).",
  });
}
