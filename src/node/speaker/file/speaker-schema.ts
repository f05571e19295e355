// The file of `podloom bgp`: one zod schema, from which come the types, the checks and the published JSON schema. What a schema
// cannot say (a template that there is not, an address twice) is checked in `resolve.ts`.
import * as z from "zod/mini";
import type { JsonSchema } from "../../../io/document/schema-remedy.ts";
import { clusterId, neighbors, ranges, templates } from "./neighbor-schema.ts";
import { ORIGINS, policies } from "./policy-schema.ts";
import {
  about,
  anyPrefix,
  asNumber,
  community,
  flag,
  hostPort,
  identifier,
  ipv6Address,
  name,
  nextHopOrSelf,
  nodeAddress,
  oneOf,
  oneOrMore,
  whole,
  words,
} from "./values.ts";

/** Longest file that is read, in bytes. */
export const SPEAKER_FILE_BYTES_MAX = 8 * 1024 * 1024;
const NETWORKS_MAX = 200_000;
const U32_MAX = 0xffff_ffff;

/** A network of our own. */
export const networkSchema = z.union([
  anyPrefix("A network of our own, announced with our address as its next hop."),
  z.lazy(() =>
    about(
      z.strictObject({
        prefix: anyPrefix("The network."),
        nextHop: z.exactOptional(nextHopOrSelf("Where it leads; default self, our own address.")),
        med: z.exactOptional(whole(0, U32_MAX, "MED.")),
        localPref: z.exactOptional(whole(0, U32_MAX, "LOCAL_PREF.")),
        origin: z.exactOptional(oneOf(ORIGINS, "ORIGIN; default igp.")),
        communities: z.exactOptional(
          oneOrMore(community("A community."), "Communities that it is told with.", 255),
        ),
      }),
      "A network of our own, with attributes.",
    ),
  ),
]);

const decision = about(
  z._default(
    z.lazy(() =>
      z.strictObject({
        alwaysCompareMed: z.exactOptional(
          flag("Compare MED between paths through different ASs; default false."),
        ),
        missingMedWorst: z.exactOptional(flag("A path without MED loses to any with one; default false.")),
        preferOldest: z.exactOptional(
          flag(
            "Among external paths that are equal so far, keep the one that is chosen (RFC 5004); default false.",
          ),
        ),
        multipathMax: z.exactOptional(whole(1, 256, "How many equal paths may share the load; default 1.")),
        multipathRelax: z.exactOptional(flag("They may go through different ASs; default false.")),
      }),
    ),
    {},
  ),
  "How the best of several paths is chosen.",
);

const listen = about(
  z._default(
    z.union([
      z.literal(false),
      z.strictObject({
        port: z.exactOptional(whole(0, 65_535, "TCP port; 0: any that is free; default 1790.")),
        addresses: z.exactOptional(
          z.lazy(() =>
            about(
              z.array(nodeAddress("An address of ours.", "10.0.1.1")).check(z.minLength(1), z.maxLength(64)),
              "Our addresses that may be called; default: `address`.",
            ),
          ),
        ),
      }),
    ]),
    {},
  ),
  "Where neighbors may call; false: nowhere.",
);

const restart = about(
  z._default(
    z.lazy(() =>
      z.strictObject({
        graceful: z.exactOptional(
          flag(
            "Ask all neighbors for graceful restart: forwarding goes on while this process is gone; default false.",
          ),
        ),
        deferralSec: z.exactOptional(
          whole(1, 86_400, "After --restarting: how long to wait for the neighbors' routes; default 120."),
        ),
      }),
    ),
    {},
  ),
  "What happens when this speaker restarts (RFC 4724).",
);

export const speakerFileSchema = about(
  z.strictObject({
    apiVersion: about(z.literal("podloom/v1"), "podloom/v1, always."),
    kind: about(z.literal("BGPSpeaker"), "BGPSpeaker, always."),
    name: z.exactOptional(name("The speaker's name; the default is the file's", "tor1")),
    as: asNumber("Our AS number."),
    routerId: identifier("Our BGP identifier (RFC 6286)."),
    address: z.exactOptional(
      nodeAddress(
        "Our address: sessions come from it, and it is our next hop; default: routerId.",
        "10.0.1.1",
      ),
    ),
    address6: z.exactOptional(ipv6Address("Our next hop for IPv6 routes.")),
    carrier: z.exactOptional(
      oneOf(
        ["host", "loopback"],
        "host: the addresses are this machine's own. loopback: 10.0.1.1 is carried on 127.0.1.1, so that many speakers fit on one machine. Default host.",
      ),
    ),
    listen,
    clusterId: z.exactOptional(clusterId),
    dynamicLimit: z.exactOptional(
      whole(0, 100_000, "How many neighbors all ranges may bring at a time; default 1000."),
    ),
    decision,
    requirePolicy: z.exactOptional(
      flag(
        "A neighbor that may be of another AS and names no policy is told nothing, and nothing of it is used (RFC 8212); default false.",
      ),
    ),
    networks: about(
      z._default(z.array(networkSchema).check(z.maxLength(NETWORKS_MAX)), []),
      "Networks of our own, which we announce.",
    ),
    policies,
    templates,
    neighbors,
    ranges,
    restart,
    metrics: z.exactOptional(
      hostPort(
        "Where Prometheus may ask: an address and a port. Off this machine only with PODLOOM_METRICS_TOKEN.",
      ),
    ),
    capture: z.exactOptional(
      words(4096, "A pcapng file of what the sessions say, seen from the working directory.", "bgp.pcapng"),
    ),
  }),
  "A stand-alone BGP speaker.",
);

/** A file as it was read: defaults that depend on nothing else are filled in. */
export type SpeakerFile = z.output<typeof speakerFileSchema>;
export type NetworkText = z.output<typeof networkSchema>;

/** The published JSON schema of a speaker's file, for editors and for remedies. */
export function speakerJsonSchema(): JsonSchema {
  return {
    ...z.toJSONSchema(speakerFileSchema, { io: "input" }),
    title: "podloom BGP speaker",
  } as JsonSchema;
}
