// Who asks a node and is told of it, and what it asks a store with.
import { join } from "node:path";
import type { EtcdTransport } from "../io/etcd/etcd-transport.ts";
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

/** Loaded while the rest of the node is set up, and only the one that is used: etcd3 alone is a third of what starting costs. */
export async function openTransport({
  etcd,
  storeClient,
}: Pick<NodeConfig, "etcd" | "storeClient">): Promise<EtcdTransport> {
  if (storeClient === "etcd3") {
    const { Etcd3Transport } = await import("../io/etcd/etcd3-transport.ts");
    return new Etcd3Transport(etcd);
  }
  const { SlimTransport } = await import("../io/etcd/slim/slim-transport.ts");
  return new SlimTransport(etcd);
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
