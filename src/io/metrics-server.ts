// Metrics over HTTP: GET /metrics, and nothing else.
import { createHash, timingSafeEqual } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { messageOf, PodloomError } from "./podloom-error.ts";

/** The environment variable with the token that a scraper must show. */
export const METRICS_TOKEN_VARIABLE = "PODLOOM_METRICS_TOKEN";

const CONNECTIONS_MAX = 16;
/** How long a request may take to arrive. */
const REQUEST_TIMEOUT_MS = 5000;

export interface MetricsServerOptions {
  readonly host: string;
  /** 0: any that is free. */
  readonly port: number;
  /** What a scraper shows as `Authorization: Bearer TOKEN`. Undefined: anybody on this machine may ask. */
  readonly token: string | undefined;
  readonly contentType: string;
  readonly text: () => Promise<string>;
}

export class MetricsServer {
  readonly host: string;
  readonly port: number;
  readonly #server: Server;

  private constructor(server: Server) {
    const { address, port } = server.address() as AddressInfo;
    this.host = address;
    this.port = port;
    this.#server = server;
  }

  /** @throws PodloomError PL_METRICS_OPEN without a token where other machines could ask; PL_METRICS_PORT */
  static async listen(options: MetricsServerOptions): Promise<MetricsServer> {
    const { host, port, token } = options;
    if (token === undefined && !isLoopbackHost(host)) {
      throw new PodloomError(
        "PL_METRICS_OPEN",
        `metrics on ${shown(host, port)} could be read by anybody who reaches this machine`,
        {
          remedy: `Set ${METRICS_TOKEN_VARIABLE} to a secret that the scraper shows as a bearer token, or choose 127.0.0.1.`,
        },
      );
    }
    const server = createServer({ requestTimeout: REQUEST_TIMEOUT_MS }, (request, response) => {
      void answer(request, response, options);
    });
    server.maxConnections = CONNECTIONS_MAX;
    try {
      await new Promise<void>((resolve, reject) => {
        server.once("error", reject);
        server.listen({ host, port, exclusive: true }, resolve);
      });
    } catch (cause) {
      const { code } = cause as NodeJS.ErrnoException;
      const why =
        code === "EADDRINUSE" ? "is in use by another process" : `cannot be opened: ${messageOf(cause)}`;
      throw new PodloomError("PL_METRICS_PORT", `${shown(host, port)}, for metrics, ${why}`, {
        remedy: "Choose another address or port, or take metrics out.",
        cause,
      });
    }
    server.removeAllListeners("error");
    // A call that could not be taken is the caller's to repeat.
    server.on("error", () => {});
    return new MetricsServer(server);
  }

  /** `127.0.0.1:9179`, with the port that the system chose. */
  get address(): string {
    return shown(this.host, this.port);
  }

  /** Ends all connections. Resolves when nothing is left. */
  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#server.closeAllConnections();
    await closed;
  }
}

function shown(host: string, port: number): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

function isLoopbackHost(host: string): boolean {
  return host.startsWith("127.") || host === "::1";
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  { token, contentType, text }: MetricsServerOptions,
): Promise<void> {
  if (request.url?.split("?")[0] !== "/metrics") {
    refuse(response, 404, "Metrics are at /metrics.\n");
  } else if (request.method !== "GET" && request.method !== "HEAD") {
    refuse(response.setHeader("Allow", "GET, HEAD"), 405, "Metrics can be read, and nothing else.\n");
  } else if (token !== undefined && !sameSecret(request.headers.authorization ?? "", `Bearer ${token}`)) {
    refuse(response.setHeader("WWW-Authenticate", "Bearer"), 401, "Show the token.\n");
  } else {
    try {
      const body = await text();
      response.writeHead(200, { "Content-Type": contentType });
      response.end(request.method === "HEAD" ? undefined : body);
    } catch (thrown) {
      refuse(response, 500, `${messageOf(thrown)}\n`);
    }
  }
}

function refuse(response: ServerResponse, status: number, why: string): void {
  response.writeHead(status, { "Content-Type": "text/plain; charset=utf-8" });
  response.end(why);
}

/** In a time that does not tell how much of it was right. */
function sameSecret(given: string, wanted: string): boolean {
  const digest = (text: string) => createHash("sha256").update(text).digest();
  return timingSafeEqual(digest(given), digest(wanted));
}
