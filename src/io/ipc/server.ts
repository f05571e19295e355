import { chmodSync, lstatSync, mkdtempSync, renameSync, rmdirSync, rmSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { basename, dirname, join } from "node:path";
import { makeFolder } from "../make-folder.ts";
import { PodloomError } from "../podloom-error.ts";
import { connectSocket } from "./client.ts";
import { Connection, type ConnectionOptions } from "./connection.ts";

/** `sun_path` of Linux holds 108 bytes and its end; macOS 104. */
const PATH_BYTES_MAX = 103;
/** What the temporary folder adds to a path while the socket is being made. */
const TEMPORARY_BYTES = "/.XXXXXX/s".length;

/**
 * A unix socket that only its owner may open.
 *
 * It is made in a folder of mode 0700, given mode 0600 and then renamed to its place: at no moment can anybody else connect,
 * and one that a killed process left behind is replaced.
 */
export class IpcServer {
  readonly path: string;
  /** Connections that are open, greeted or not. */
  readonly connections = new Set<Connection>();
  readonly #server: Server;

  private constructor(path: string, server: Server, options: ConnectionOptions) {
    this.path = path;
    this.#server = server;
    server.on("connection", (socket) => this.#accept(socket, options));
    // A connection that could not be accepted (no descriptor left): its other side notices.
    server.on("error", () => {});
  }

  /**
   * @param path of the socket; its folder is made (mode 0700) when it does not exist
   * @throws PodloomError PL_SOCKET_IN_USE when a live process listens there, PL_SOCKET_PATH_TOO_LONG, PL_SOCKET_FAILED
   */
  static async listen(path: string, options: ConnectionOptions): Promise<IpcServer> {
    const folder = dirname(path);
    const needed = Buffer.byteLength(path) + TEMPORARY_BYTES;
    if (needed > PATH_BYTES_MAX) {
      throw new PodloomError(
        "PL_SOCKET_PATH_TOO_LONG",
        `the socket path ${path} is longer than a unix socket allows`,
        {
          remedy: `Choose a state folder whose path is ${needed - PATH_BYTES_MAX} characters shorter.`,
        },
      );
    }
    await refuseLiveSocket(path);
    const server = createServer();
    // Its own listeners come first: a connection that arrives before `listen` returns must not be lost.
    const ipc = new IpcServer(path, server, options);
    try {
      makeFolder(folder, 0o700);
      const temporary = mkdtempSync(join(folder, "."));
      try {
        const unplaced = join(temporary, "s");
        await new Promise<void>((resolve, reject) => {
          server.once("error", reject);
          server.listen(unplaced, () => resolve());
        });
        chmodSync(unplaced, 0o600);
        renameSync(unplaced, path);
        // It is empty. What removes a folder with all that is in it is only loaded when it is needed.
        rmdirSync(temporary);
      } catch (thrown) {
        rmSync(temporary, { recursive: true, force: true });
        throw thrown;
      }
    } catch (cause) {
      server.close();
      const code = (cause as NodeJS.ErrnoException).code;
      throw new PodloomError(
        "PL_SOCKET_FAILED",
        `the socket ${path} could not be made: ${String(code ?? cause)}`,
        {
          remedy: `See that ${folder} is a folder that you may write to.`,
          cause,
        },
      );
    }
    return ipc;
  }

  /** Ends every connection and removes the socket. Resolves when nothing is left. */
  async close(): Promise<void> {
    const ended = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    rmSync(this.path, { force: true });
    await Promise.all([...this.connections].map((connection) => connection.end()));
    await ended;
  }

  #accept(socket: Socket, options: ConnectionOptions): void {
    const connection = new Connection(socket, {
      ...options,
      onClosed: (closed, error) => {
        this.connections.delete(closed);
        options.onClosed?.(closed, error);
      },
    });
    this.connections.add(connection);
  }
}

/** Is somebody listening? A file that nobody answers at was left behind, and may be replaced. */
async function refuseLiveSocket(path: string): Promise<void> {
  let socket: Socket;
  try {
    if (lstatSync(path, { throwIfNoEntry: false }) === undefined) return;
    socket = await connectSocket(path);
  } catch (thrown) {
    const code = (thrown as NodeJS.ErrnoException).code;
    if (code === "ENOENT" || code === "ECONNREFUSED" || code === "ENOTSOCK") return;
    throw new PodloomError(
      "PL_SOCKET_FAILED",
      `${basename(path)} in ${dirname(path)} cannot be examined: ${String(code)}`,
      {
        remedy: "Remove it if nothing uses it, or choose another state folder.",
        cause: thrown,
      },
    );
  }
  socket.destroy();
  throw new PodloomError("PL_SOCKET_IN_USE", `another process already listens on ${path}`, {
    remedy: "Stop it first, or choose another state folder.",
  });
}
