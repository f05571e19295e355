// What a lab file says of Calico, of routers and of announcers.
import { readFileSync } from "node:fs";
import { z } from "zod";
import { address, asNumber, cidr, name } from "./schema-values.ts";

/** Upper bounds that no lab on one machine reaches. */
const RESOURCES_MAX = 5000;
const ROUTERS_MAX = 100;
export const SEGMENTS_MAX = 100;

export const CALICO_VERSIONS = ["3.31", "3.32", "3.33"] as const;
export const BGP_TIMERS = ["calico", "fast"] as const;
export const IPIP_CARRIERS = ["auto", "proto4", "fou"] as const;

/** Kinds that a lab file may bring along; what nodes say of themselves (WorkloadEndpoint) is theirs. */
const LAB_KINDS = [
  "IPPool",
  "IPReservation",
  "BGPConfiguration",
  "BGPPeer",
  "BGPFilter",
  "FelixConfiguration",
  "Node",
] as const;

/** Each document is checked whole, as Calico checks it, in `resolve-calico.ts`. */
const resource = z
  .looseObject({
    apiVersion: z
      .literal("projectcalico.org/v3")
      .describe("projectcalico.org/v3, which may be left out.")
      .optional(),
    kind: z.enum(LAB_KINDS).describe("What it is."),
    metadata: z
      .looseObject({
        name: z
          .string()
          .min(1)
          .max(253)
          .meta({ description: "Its name.", examples: ["default"] }),
      })
      .describe("Name, labels, annotations."),
    spec: z.looseObject({}).describe("What it says, in Calico's own keys.").optional(),
  })
  .describe("One of Calico's own documents.");

export const calicoSchema = z
  .strictObject({
    version: z
      .enum(CALICO_VERSIONS)
      .describe("Whose behaviour: who programs which routes, and with which LOCAL_PREF.")
      .default("3.32"),
    timers: z
      .enum(BGP_TIMERS)
      .describe("calico: BGP's timers as Calico has them. fast: short ones, for a lab that must not wait.")
      .default("calico"),
    ipipCarrier: z
      .enum(IPIP_CARRIERS)
      .describe(
        "proto4: IP protocol 4. fou: the same packet in UDP 5555. auto: proto4 where it is permitted.",
      )
      .default("auto"),
    resources: z
      .array(resource)
      .max(RESOURCES_MAX)
      .describe(
        "Calico's own documents. Without an IPPool among them a default pool is made, as calico-node does.",
      )
      .default([]),
  })
  .describe("Calico. Only with cni: calico.");

export const segmentSchema = z
  .strictObject({
    name: name("The segment's name", "rack1"),
    subnet: cidr("Its subnet.", "10.20.0.0/24"),
    gateway: address(
      "Where its nodes' default route leads: a router's interface. Without it they have none.",
      "10.20.0.1",
    ).optional(),
  })
  .describe("One layer-2 segment.");

/** Keys of a speaker's file that make sense in a router: the others (name, carrier, capture, …) it has from the lab. */
const BGP_KEYS = [
  "as",
  "routerId",
  "listen",
  "clusterId",
  "dynamicLimit",
  "decision",
  "networks",
  "policies",
  "templates",
  "neighbors",
  "ranges",
  "restart",
];

/**
 * Those keys, as the published schema of a speaker's file has them: the speaker's own schema is code of the node's, which a
 * lab does not load. Made when a lab file has a router; it takes some 50 ms.
 */
const bgp = z.lazy(() => {
  const file = new URL("../../schema/bgp-speaker.schema.json", import.meta.url);
  const speaker = JSON.parse(readFileSync(file, "utf8")) as { properties: Record<string, object> };
  const { as, ...others } = Object.fromEntries(BGP_KEYS.map((key) => [key, speaker.properties[key] ?? {}]));
  const bgpObject = {
    type: "object",
    properties: { as, ...others },
    required: ["as"],
    additionalProperties: false,
  };
  // Defaults are the router's own to fill in: what is not said is not passed on.
  return z.fromJSONSchema(withoutDefaults(bgpObject) as Parameters<typeof z.fromJSONSchema>[0]);
});

function withoutDefaults(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(withoutDefaults);
  if (typeof schema !== "object" || schema === null) return schema;
  return Object.fromEntries(
    Object.entries(schema).flatMap(([key, value]) =>
      key === "default" && (typeof value !== "object" || !("type" in value))
        ? []
        : [[key, withoutDefaults(value)]],
    ),
  );
}

export const routersSchema = z
  .array(
    z
      .strictObject({
        name: name("The router's name, which no node has", "tor1"),
        interfaces: z
          .array(cidr("Its address in one of the segments.", "10.20.0.1/24"))
          .min(1)
          .max(SEGMENTS_MAX)
          .describe("Its addresses with their lengths, one a segment: eth0, eth1, …"),
        bgp: bgp
          .optional()
          .describe(
            "The keys of a `podloom bgp` file. Routes that it learns go into the router's own table.",
          ),
      })
      .describe("A process with a NIC in each of several segments, and no pods."),
  )
  .max(ROUTERS_MAX)
  .describe("Gateways and top-of-rack switches.");

export const announcersSchema = z
  .array(
    z
      .strictObject({
        name: name("The announcer's name, which no node has", "announcer1"),
        address: address("Its underlay address.", "10.20.0.250"),
        as: asNumber("Its AS number."),
        gateways: z
          .array(address("An interface of a router that speaks BGP.", "10.20.0.1"))
          .min(1)
          .max(ROUTERS_MAX)
          .describe("Whom it tells."),
      })
      .describe(
        "A component that watches the store for nodes and blocks, and announces them to gateways by BGP.",
      ),
  )
  .max(ROUTERS_MAX)
  .describe(
    "What announces the blocks of all nodes to gateways, so that not every node needs a session with them.",
  );
