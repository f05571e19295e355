import { createServer } from "node:net";
import { PodloomError } from "../io/podloom-error.ts";

/**
 * Where the search starts. Below the ephemeral range: a port that a dead store leaves must not become the source port of a
 * client that reconnects to it (on loopback such a client would connect to itself and keep the port for ever).
 */
const FIRST_PORT = 23790;
const PORTS = 2000;

/** `count` TCP ports of 127.0.0.1 that nobody listens on. @throws PodloomError PL_STORE_FAILED when there are none */
export async function freePorts(count: number, from = FIRST_PORT): Promise<number[]> {
  const ports: number[] = [];
  for (let port = from; port < FIRST_PORT + PORTS && ports.length < count; port++) {
    if (await isFree(port)) ports.push(port);
  }
  if (ports.length === count) return ports;
  throw new PodloomError(
    "PL_STORE_FAILED",
    `no free TCP port in ${FIRST_PORT}–${FIRST_PORT + PORTS - 1} of 127.0.0.1`,
    {
      remedy: "End some labs: `podloom down --all`.",
    },
  );
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once("error", () => resolve(false));
    probe.listen({ port, host: "127.0.0.1", exclusive: true }, () => probe.close(() => resolve(true)));
  });
}
