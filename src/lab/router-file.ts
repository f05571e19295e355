// The files of routers and announcers: what `podloom router -f FILE` reads. The supervisor writes them into the lab's run folder.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { formatIpv4 } from "../base/ipv4-addr.ts";
import type { StoreClient } from "../io/etcd/open-transport.ts";
import { type LabDirs, makeStateFolder, stateFault } from "./lab-dirs.ts";
import type { MemberContext } from "./lab-member.ts";
import { LAB_API_VERSION } from "./lab-schema.ts";
import { type LabAnnouncer, type LabInterface, type LabRouter, listenPort } from "./resolve-routers.ts";

/** A router or an announcer, as `podloom router` reads it. */
interface RouterFile {
  readonly apiVersion: string;
  readonly kind: "Router";
  readonly name: string;
  readonly carrier: "loopback" | "host";
  readonly mtu: number;
  /** Addresses with the lengths of their segments: `10.20.0.1/24`. */
  readonly interfaces: readonly { readonly name: string; readonly address: string }[];
  /** Keys of a `podloom bgp` file. */
  readonly bgp?: Readonly<Record<string, unknown>>;
  readonly announcer?: {
    readonly etcd: readonly string[];
    /** Absent: slim. */
    readonly storeClient?: StoreClient;
    readonly as: number;
    readonly gateways: readonly string[];
    /** Where all the gateways listen. */
    readonly port: number;
  };
}

/** What a router is told. Its BGP is called `routerId` after its first interface, and listens where the lab's BGP does, if it is not told. */
export function routerFile(router: LabRouter, context: MemberContext): RouterFile {
  const base = baseOf(router, context);
  if (router.bgp === undefined) return base;
  const routerId = formatIpv4(router.interfaces[0]?.address ?? 0);
  const { listen } = router.bgp;
  const port = { port: context.bgpPort };
  const listening = typeof listen === "object" && listen !== null ? { ...port, ...listen } : port;
  return { ...base, bgp: { routerId, ...router.bgp, listen: listen === false ? false : listening } };
}

/** What an announcer is told: it forwards nothing. */
export function announcerFile(announcer: LabAnnouncer, context: MemberContext): RouterFile {
  const [first] = announcer.gateways;
  const router = context.lab.routers.find(({ interfaces }) =>
    interfaces.some(({ address }) => address === first),
  );
  const { storeClient } = context.lab;
  return {
    ...baseOf(announcer, context),
    announcer: {
      etcd: context.endpoints,
      ...(storeClient !== "slim" && { storeClient }),
      as: announcer.as,
      gateways: announcer.gateways.map(formatIpv4),
      port: listenPort(router?.bgp) ?? context.bgpPort,
    },
  };
}

function baseOf(
  { name, interfaces }: { readonly name: string; readonly interfaces: readonly LabInterface[] },
  { lab }: MemberContext,
): RouterFile {
  return {
    apiVersion: LAB_API_VERSION,
    kind: "Router",
    name,
    carrier: lab.underlay.carrier,
    mtu: lab.underlay.mtuBytes,
    interfaces: interfaces.map(({ address, segment }, i) => ({
      name: `eth${i}`,
      address: `${formatIpv4(address)}/${segment.subnet.len}`,
    })),
  };
}

/** Writes the file. Answers its path. @throws PodloomError PL_STATE_DIR */
export function writeRouterFile(name: string, content: object, dirs: LabDirs): string {
  const folder = join(dirs.nodes, name);
  makeStateFolder(folder);
  const path = join(folder, "router.json");
  try {
    writeFileSync(path, `${JSON.stringify(content, null, 2)}\n`, { mode: 0o600 });
  } catch (thrown) {
    throw stateFault(folder, thrown);
  }
  return path;
}
