import type { EtcdEndpoints, EtcdTransport } from "../../src/io/etcd/etcd-transport.ts";
import { Etcd3Transport } from "../../src/io/etcd/etcd3-transport.ts";
import { SlimTransport } from "../../src/io/etcd/slim/slim-transport.ts";

/** A way to speak to etcd, for the suites that every one must pass. */
export interface TransportKind {
  readonly name: "etcd3" | "slim";
  readonly open: (endpoints: EtcdEndpoints) => EtcdTransport;
  /** Where a process of its own finds it, seen from `dist/io/etcd`, and under which name. */
  readonly module: string;
  readonly exported: string;
}

export const TRANSPORTS: readonly TransportKind[] = [
  {
    name: "etcd3",
    open: (endpoints) => new Etcd3Transport(endpoints),
    module: "etcd3-transport.js",
    exported: "Etcd3Transport",
  },
  {
    name: "slim",
    open: (endpoints) => new SlimTransport(endpoints),
    module: "slim/slim-transport.js",
    exported: "SlimTransport",
  },
];
