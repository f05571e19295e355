// Which etcd client a process uses. Whoever speaks to a store opens it here, so that one word chooses for all of a lab.
import type { EtcdEndpoints, EtcdTransport } from "./etcd-transport.ts";

/** `slim`: gRPC on `node:http2`, our own. `etcd3`: the raw stubs of the package of that name. */
export type StoreClient = (typeof STORE_CLIENTS)[number];

/** The default first. */
export const STORE_CLIENTS = ["slim", "etcd3"] as const;

/** Only the client that is used is loaded: etcd3 alone is a third of what starting a process costs. It connects at its first call. */
export async function openTransport(etcd: EtcdEndpoints, client: StoreClient): Promise<EtcdTransport> {
  if (client === "etcd3") {
    const { Etcd3Transport } = await import("./etcd3-transport.ts");
    return new Etcd3Transport(etcd);
  }
  const { SlimTransport } = await import("./slim/slim-transport.ts");
  return new SlimTransport(etcd);
}
