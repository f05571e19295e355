// A CA, a server's and a client's certificate, made by openssl when a test begins: nothing that expires lies in the repository.
import { execFileSync, spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";

export function hasOpenssl(): boolean {
  return spawnSync("openssl", ["version"], { stdio: "ignore" }).status === 0;
}

interface Pair {
  readonly cert: string;
  readonly key: string;
}

/** Paths of PEM files. */
export interface TestCertificates {
  readonly ca: string;
  /** One that has signed nothing here. */
  readonly otherCa: string;
  readonly server: Pair;
  readonly client: Pair;
}

const NEW_KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];

export function createTestCertificates(folder: string): TestCertificates {
  const at = (name: string): string => join(folder, name);
  const openssl = (...args: string[]): void => void execFileSync("openssl", args, { stdio: "ignore" });
  const authority = (name: string): string => {
    openssl(
      "req",
      "-x509",
      ...NEW_KEY,
      "-days",
      "2",
      "-subj",
      `/CN=${name}`,
      "-keyout",
      at(`${name}.key`),
      "-out",
      at(`${name}.pem`),
    );
    return at(`${name}.pem`);
  };
  const ca = authority("ca");
  const issue = (name: string, usage: string): Pair => {
    writeFileSync(
      at(`${name}.ext`),
      `subjectAltName=IP:127.0.0.1,DNS:localhost\nextendedKeyUsage=${usage}\n`,
    );
    openssl(
      "req",
      ...NEW_KEY,
      "-subj",
      `/CN=${name}`,
      "-keyout",
      at(`${name}.key`),
      "-out",
      at(`${name}.csr`),
    );
    openssl(
      ...["x509", "-req", "-in", at(`${name}.csr`), "-CA", ca, "-CAkey", at("ca.key"), "-CAcreateserial"],
      ...["-days", "2", "-extfile", at(`${name}.ext`), "-out", at(`${name}.pem`)],
    );
    return { cert: at(`${name}.pem`), key: at(`${name}.key`) };
  };
  // etcd's own gateway is a client of its server, with the server's certificate.
  return {
    ca,
    otherCa: authority("other"),
    server: issue("server", "serverAuth,clientAuth"),
    client: issue("client", "clientAuth"),
  };
}
