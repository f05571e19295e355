// Where BGP listens on this machine: port 179 as everywhere, unless only root may bind it and we are not.
import { createServer } from "node:net";

export const BGP_PORT = 179;
/** Taken where 179 may not be bound; it stands in the store as BGPConfiguration's listenPort. */
export const BGP_PORT_UNPRIVILEGED = 1790;

/** The port. Found out by binding: capabilities and net.ipv4.ip_unprivileged_port_start decide, not the user's id. */
export function findBgpPort(): Promise<number> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once("error", (error: NodeJS.ErrnoException) => {
      // Somebody has it on this address: then it may be bound.
      resolve(error.code === "EADDRINUSE" ? BGP_PORT : BGP_PORT_UNPRIVILEGED);
    });
    probe.listen({ port: BGP_PORT, host: "127.0.0.1", exclusive: true }, () => {
      probe.close(() => resolve(BGP_PORT));
    });
  });
}
