/** A connection, for people. */
export interface Whereabouts {
  readonly host: string;
  readonly port: number;
  readonly localHost: string;
  /** With TCP MD5 signatures? */
  readonly signed: boolean;
}

/** What is wrong with a connection, in words; the system's name for it follows in brackets. */
export function describeTcpError(error: NodeJS.ErrnoException, where: Whereabouts): string {
  const text = TEXTS[error.code ?? ""];
  return text === undefined ? error.message : `${text(where)} (${error.code})`;
}

const TEXTS: Readonly<Record<string, (where: Whereabouts) => string>> = {
  ECONNREFUSED: ({ host, port }) => `nobody listens on ${host}:${port}`,
  ECONNRESET: ({ host, port }) => `${host}:${port} has reset the connection`,
  EPIPE: ({ host, port }) => `${host}:${port} has closed the connection`,
  ETIMEDOUT: ({ host, port, signed }) =>
    `${host}:${port} does not answer${signed ? "; is the password the same there?" : ""}`,
  EHOSTUNREACH: ({ host }) => `${host} cannot be reached`,
  ENETUNREACH: ({ host }) => `there is no route to ${host}`,
  EADDRNOTAVAIL: ({ localHost }) => `no interface of this machine has the address ${localHost}`,
  EADDRINUSE: ({ localHost }) => `no port of ${localHost} is free for another connection`,
  EMFILE: () => "this process has too many files open",
};
