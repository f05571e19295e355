// Who asks a node and is told of it.
import { join } from "node:path";
import { connectIpc } from "../io/ipc/client.ts";
import type { ConnectionOptions } from "../io/ipc/connection.ts";
import { type NodeState, TOKEN_VARIABLE } from "../io/ipc/protocol.ts";
import { IpcServer } from "../io/ipc/server.ts";
import type { Logger } from "../io/logger.ts";
import type { NodeConfig } from "./config.ts";
import type { NodeDriver } from "./driver.ts";
import { answer } from "./verbs.ts";

/** Who is told of the node: a supervisor, or whoever has connected to the node's own socket. */
export interface Control {
  readonly tell: (state: NodeState) => void;
  close(): Promise<void>;
}

/** Connects to the supervisor, or opens the node's own socket. @throws PodloomError */
export async function openControl(
  config: Pick<NodeConfig, "name" | "control">,
  driver: NodeDriver,
  logger: Logger,
): Promise<Control> {
  const options: ConnectionOptions = {
    from: config.name,
    token: process.env[TOKEN_VARIABLE],
    onRequest: (request) => answer(request, driver),
  };
  if (config.control === undefined) {
    const server = await IpcServer.listen(join(driver.folder.root, "node.sock"), {
      ...options,
      onHello: (hello, connection) => {
        logger.log("debug", "ipc", "hello", `${hello.from} connected`);
        connection.notify("state", driver.state());
      },
    });
    return {
      tell: (state) => {
        for (const connection of server.connections) connection.notify("state", state);
      },
      close: () => server.close(),
    };
  }
  const supervisor = await connectIpc(config.control, {
    ...options,
    onClosed: (_, error) => {
      // Whoever started us is gone, by a crash perhaps: leave nothing behind, and let the peers know at once.
      const why = error === undefined ? "" : ` (${error.message})`;
      driver.stop(true, `the supervisor has ended the connection${why}`);
    },
  });
  return { tell: (state) => void supervisor.notify("state", state), close: () => supervisor.end() };
}
