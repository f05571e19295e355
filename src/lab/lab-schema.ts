// The lab file: one zod schema, from which come the types, the checks and the published JSON schema. What a schema cannot
// say (two nodes with one address, a network that is too small) is checked in `resolve-lab.ts`.
import { z } from "zod";
import { STORE_CLIENTS } from "../io/etcd/open-transport.ts";
import {
  announcersSchema,
  calicoSchema,
  routersSchema,
  SEGMENTS_MAX,
  segmentSchema,
} from "./calico-schema.ts";
import { address, asNumber, cidr, name, whole } from "./schema-values.ts";
import { ENDPOINTS_PATTERN, STORE_FORM } from "./store-endpoints.ts";

/** What `apiVersion` must be. */
export const LAB_API_VERSION = "podloom/v1";

/** Upper bound of nodes in one lab: beyond it one machine serves no purpose. */
export const NODES_MAX = 2000;
/** Upper bound of pods on one node: a /24 has room for no more. */
export const PODS_MAX = 250;

const backend = z
  .strictObject({
    Type: z.string().meta({ description: "The backend. podloom has: vxlan.", examples: ["vxlan"] }),
    VNI: whole(0, 0xff_ffff, "VXLAN network identifier; Flannel's default is 1.").optional(),
    Port: whole(0, 65535, "UDP port of the VXLAN device; 0 or absent is Linux's 8472.").optional(),
    GBP: z.boolean().describe("VXLAN group based policy.").optional(),
    Learning: z.boolean().describe("Whether the VXLAN device learns source addresses.").optional(),
    DirectRouting: z.boolean().describe("Route without encapsulation within one segment.").optional(),
    MTU: whole(0, 9000, "MTU of the external interface; absent is that of the underlay.").optional(),
  })
  .describe("Flannel's Backend object.");

const network = z
  .strictObject({
    EnableIPv4: z.boolean().describe("Flannel's switch for IPv4; it must stay true.").optional(),
    EnableIPv6: z.boolean().describe("Flannel's switch for IPv6; it must stay false.").optional(),
    IPv6Network: z.string().describe("Flannel's IPv6 network; there is none here yet.").optional(),
    Network: cidr("The pod network; every node leases a subnet of it.", "10.244.0.0/16").default(
      "10.244.0.0/16",
    ),
    SubnetLen: whole(
      1,
      32,
      "Prefix length of a node's subnet; Flannel's default is 24 where that fits.",
    ).optional(),
    SubnetMin: address(
      "First subnet that may be leased; the default skips the first of the network.",
      "10.244.1.0",
    ).optional(),
    SubnetMax: address("Last subnet that may be leased.", "10.244.255.0").optional(),
    Backend: backend.prefault({ Type: "vxlan" }),
  })
  .describe(
    "Flannel's net-conf.json, in its own words. It is written to <etcdPrefix>/config. Only with cni: flannel.",
  );

const underlay = z
  .strictObject({
    subnet: cidr(
      "The network between the nodes, when it is one segment; the default is 192.168.56.0/24.",
      "192.168.56.0/24",
    ).optional(),
    segments: z
      .array(segmentSchema)
      .min(1)
      .max(SEGMENTS_MAX)
      .describe("The segments, when there are several; in place of subnet. Only with cni: calico.")
      .optional(),
    carrier: z
      .enum(["loopback", "host"])
      .describe(
        "loopback: each node has its own 127.x.y.z on this machine. host: the addresses are this host's own.",
      )
      .default("loopback"),
    mtu: whole(576, 9000, "MTU of the underlay in bytes.").default(1500),
  })
  .describe("The network between the nodes.");

const pod = z.union([
  name("A pod's name, unique in the lab", "web"),
  z
    .strictObject({
      name: name("A pod's name, unique in the lab", "web"),
      ip: address(
        "The address that the pod asks for. Flannel: in its node's subnet, so the node must name that. Calico: in a pool.",
        "10.244.5.9",
      ).optional(),
      namespace: name("Its namespace; the default is default. Only with cni: calico", "shop").optional(),
    })
    .describe("A pod with wishes."),
]);

const pods = z
  .union([
    whole(0, PODS_MAX, "How many pods; they are named <node>-pod1, <node>-pod2, …"),
    z.array(pod).max(PODS_MAX),
  ])
  .describe("The node's pods: a number, or a list of names.");

const listedNode = z
  .strictObject({
    name: name("The node's name, unique in the lab", "node1"),
    address: address(
      "Its underlay address; the default is the next free one, from .2 upward.",
      "192.168.56.2",
    ).optional(),
    subnet: cidr(
      "The subnet that it leases: one of network.Network, SubnetLen long, from SubnetMin to SubnetMax. The default is a random free one, or the next free one when another node names its own. Only with cni: flannel.",
      "10.244.5.0/24",
    ).optional(),
    segment: name(
      "The segment that it is in; the default is the one of its address, else they are filled in turn",
      "rack1",
    ).optional(),
    labels: z
      .record(z.string(), z.string())
      .describe("Labels of its Node, for selectors. Only with cni: calico.")
      .optional(),
    asNumber: asNumber("Its AS number; the default is BGPConfiguration's. Only with cni: calico.").optional(),
    routeReflectorClusterID: address(
      "Makes it a route reflector of this cluster. Only with cni: calico.",
      "244.0.0.1",
    ).optional(),
    pods: pods.optional(),
  })
  .describe("One node.");

const countedNodes = z
  .strictObject({
    count: whole(1, NODES_MAX, "How many nodes.").default(3),
    pods: whole(0, PODS_MAX, "How many pods on each.").default(2),
    prefix: name("What their names start with", "node").default("node"),
  })
  .describe("So many nodes, named and addressed in order.");

const nodes = z
  .union([z.array(listedNode).min(1).max(NODES_MAX), countedNodes])
  .describe("The nodes: a list of them, or { count, pods, prefix }.");

const lease = z
  .strictObject({
    ttlSec: whole(
      2,
      86_400,
      "Lifetime of a lease in seconds; the default is 20, or 86400 with mode renew.",
    ).optional(),
    mode: z
      .enum(["keepalive", "renew"])
      .describe(
        "keepalive: one lease kept alive, safe. renew: as flanneld does it, a new lease every ttl − 1 h.",
      )
      .default("keepalive"),
  })
  .describe("How a node holds its subnet. Only with cni: flannel.");

const restart = z
  .strictObject({
    policy: z
      .enum(["on-failure", "always", "never"])
      .describe("When a node process that ended is started again.")
      .default("on-failure"),
    maxRetries: whole(0, 1000, "Restarts in a row before the supervisor gives up on a node.").default(5),
    backoffMs: whole(
      0,
      60_000,
      "Pause before the first restart in milliseconds; it doubles up to 30 s.",
    ).default(200),
  })
  .describe("What happens when a node process ends unasked.");

/** The lab file. Parsing fills in every default. */
export const labFileSchema = z
  .strictObject({
    apiVersion: z.literal(LAB_API_VERSION).describe(`${LAB_API_VERSION}, always.`),
    name: name("The lab's name; the default is the file's", "my-lab").optional(),
    cni: z.enum(["flannel", "calico"]).describe("Whose pod network runs.").default("flannel"),
    network: network.optional(),
    calico: calicoSchema.optional(),
    underlay: underlay.prefault({}),
    nodes: nodes.prefault({}),
    routers: routersSchema.optional(),
    announcers: announcersSchema.optional(),
    store: z
      .union([
        z.enum(["embedded", "etcd"]),
        z
          .string()
          .regex(ENDPOINTS_PATTERN, { error: `must be ${STORE_FORM}` })
          .meta({ examples: ["http://127.0.0.1:2379"] }),
      ])
      .describe(
        "embedded: podloom's own. etcd: the one on PATH. http://host:port[,…]: one that runs already.",
      )
      .default("embedded"),
    storeClient: z
      .enum(STORE_CLIENTS)
      .describe("How all of the lab speaks to the store. slim: podloom's own client. etcd3: the npm package.")
      .default("slim"),
    etcdPrefix: z
      .string()
      .regex(/^(\/[A-Za-z0-9._-]+)+$/, { error: "must be a path" })
      .meta({
        description: "Where Flannel's keys live; the default is /coreos.com/network. Only with cni: flannel.",
        examples: ["/coreos.com/network"],
      })
      .optional(),
    lease: lease.optional(),
    strict: z.boolean().describe("Reproduce the originals' quirks instead of avoiding them.").default(false),
    restart: restart.prefault({}),
  })
  .describe("A podloom lab: one emulated cluster.");

/** A lab file as it was read, with its defaults. */
export type LabFile = z.output<typeof labFileSchema>;

/** What a Flannel lab has besides: keys that stay undefined unless they are written, for a Calico lab has none of them. */
export type FlannelFile = Omit<LabFile, FlannelKey> & { readonly [K in FlannelKey]: NonNullable<LabFile[K]> };
type FlannelKey = "network" | "lease" | "etcdPrefix";

/** `file` with Flannel's defaults. */
export function withFlannelDefaults(file: LabFile): FlannelFile {
  return {
    ...file,
    network: file.network ?? network.parse({}),
    lease: file.lease ?? lease.parse({}),
    etcdPrefix: file.etcdPrefix ?? "/coreos.com/network",
  };
}

/** What a Calico lab says of Calico, with the defaults. */
export function calicoOf(file: LabFile): NonNullable<LabFile["calico"]> {
  return file.calico ?? calicoSchema.parse({});
}

let jsonSchema: Record<string, unknown> | undefined;

/** The published JSON schema of a lab file, for editors. Made once: with all of BGP's keys it takes some 50 ms. */
export function labJsonSchema(): Record<string, unknown> {
  jsonSchema ??= { ...z.toJSONSchema(labFileSchema, { io: "input" }), title: "podloom lab" };
  return jsonSchema;
}
