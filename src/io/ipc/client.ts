import { connect, type Socket } from "node:net";
import { PodloomError } from "../podloom-error.ts";
import { Connection, type ConnectionOptions } from "./connection.ts";

/** A connected unix socket. Rejects with Node's own error (ENOENT, ECONNREFUSED, EACCES, …). */
export function connectSocket(path: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(path);
    socket.once("error", reject);
    socket.once("connect", () => {
      socket.removeListener("error", reject);
      resolve(socket);
    });
  });
}

/**
 * Connects to the socket at `path` and waits for the other side's hello.
 *
 * @throws PodloomError PL_SOCKET_GONE when nobody listens, PL_SOCKET_DENIED, PL_SOCKET_FAILED, or what the hello brought
 *   (PL_IPC_VERSION, PL_IPC_SILENT, PL_IPC_CLOSED)
 */
export async function connectIpc(path: string, options: ConnectionOptions): Promise<Connection> {
  let socket: Socket;
  try {
    socket = await connectSocket(path);
  } catch (cause) {
    throw connectError(path, cause);
  }
  const connection = new Connection(socket, options);
  await connection.ready;
  return connection;
}

function connectError(path: string, cause: unknown): PodloomError {
  const code = (cause as NodeJS.ErrnoException).code;
  if (code === "ENOENT" || code === "ECONNREFUSED") {
    return new PodloomError("PL_SOCKET_GONE", `nobody listens on ${path}`, {
      remedy: "Who listened there has ended: start it again, or correct the path.",
      cause,
    });
  }
  if (code === "EACCES" || code === "EPERM") {
    return new PodloomError("PL_SOCKET_DENIED", `you may not open ${path}; it belongs to another user`, {
      remedy: "Run the command as that user, or start a lab of your own.",
      cause,
    });
  }
  return new PodloomError("PL_SOCKET_FAILED", `${path} could not be connected to: ${String(code ?? cause)}`, {
    remedy: "See that it is a unix socket, and that this process may open more files (`ulimit -n`).",
    cause,
  });
}
