// Neighbours, and ranges of them, as a speaker's file has them. Options have no defaults here: those come after the template's.
import * as z from "zod/mini";
import {
  about,
  asNumber,
  flag,
  identifier,
  ipv4Prefix,
  name,
  nodeAddress,
  oneOf,
  whole,
  words,
} from "./values.ts";

const NEIGHBORS_MAX = 10_000;
const RANGES_MAX = 1000;
/** A time in seconds that nobody waits longer for. */
const DAY_SEC = 86_400;

const peerAs = z.lazy(() =>
  about(
    z.union([
      asNumber("Its AS number."),
      z.enum(["internal", "external", "any"]),
      z.array(asNumber("An AS number.")).check(z.minLength(1), z.maxLength(1000)),
    ]),
    "Its AS: a number, internal (ours), external (any other), any, or a list of numbers.",
  ),
);

const prefixLimit = z.lazy(() =>
  about(
    z.strictObject({
      limit: whole(1, 100_000_000, "How many prefixes of a family it may send; one more ends the session."),
      warnPercent: z.exactOptional(whole(1, 100, "From this part of it on there is a warning; default 75.")),
      restartSec: z.exactOptional(
        whole(1, 30 * DAY_SEC, "How long it then stays down; default: until it is enabled again."),
      ),
    }),
    "How many prefixes it may send.",
  ),
);

const gracefulRestart = z.lazy(() =>
  about(
    z.union([
      z.boolean(),
      z.strictObject({
        restartTimeSec: z.exactOptional(whole(0, 4095, "How long it is asked to wait for us; default 120.")),
        notification: z.exactOptional(flag("Keep routes over NOTIFICATIONs too (RFC 8538); default false.")),
        helperOnly: z.exactOptional(flag("Help it over its restart, and ask for nothing; default false.")),
        peerRestartMaxSec: z.exactOptional(
          whole(0, 4095, "The longest that we wait for it, whatever it asks for; default 4095."),
        ),
        staleTimeSec: z.exactOptional(
          whole(1, DAY_SEC, "How long it may take to tell all routes when it is back; default 360."),
        ),
      }),
    ]),
    "Graceful restart (RFC 4724). Default: help it, and ask for nothing; true: ask for it, too; false: neither.",
  ),
);

const bfd = z.lazy(() =>
  about(
    z.union([
      z.boolean(),
      z.strictObject({
        desiredMinTxMs: z.exactOptional(whole(10, 60_000, "How often we would send; default 300.")),
        requiredMinRxMs: z.exactOptional(whole(10, 60_000, "How often it may send; default 300.")),
        detectMult: z.exactOptional(whole(1, 255, "After how many lost packets it is down; default 3.")),
      }),
    ]),
    "Watch the path to it with BFD (RFC 5880); true: every 300 ms, down after 3 lost packets.",
  ),
);

const errorWait = z.lazy(() =>
  about(
    z.array(whole(0, DAY_SEC, "Seconds.")).check(z.minLength(2), z.maxLength(2)),
    "How long to wait after a fault: [first, longest] in seconds, doubling with each further one; default [5, 60].",
  ),
);

const families = z.lazy(() =>
  about(
    z.array(z.enum(["ipv4", "ipv6"])).check(z.minLength(1), z.maxLength(2)),
    "Address families: ipv4, ipv6; default [ipv4].",
  ),
);

const policyName = (what: string) =>
  words(80, `${what}: a name of \`policies\`, or all, or none; default all; see also requirePolicy.`, "all");

const OPTIONS = {
  as: z.exactOptional(peerAs),
  port: z.exactOptional(
    whole(1, 65_535, "Its TCP port; default: the one that we listen on ourselves, 1790."),
  ),
  localAs: z.exactOptional(asNumber("The AS that we are to it; default: the speaker's.")),
  passive: z.exactOptional(flag("Never dial it, wait for its call; default false.")),
  holdTimeSec: z.exactOptional(
    about(
      z.int().check(
        z.minimum(0),
        z.maximum(65_535),
        z.refine((sec) => sec === 0 || sec >= 3, { error: "must be 0, or at least 3" }),
      ),
      "Hold time that we propose, in seconds; 0: no hold time; default 90.",
    ),
  ),
  holdTimeMinSec: z.exactOptional(whole(0, 65_535, "Refuse hold times below this; default 0.")),
  keepaliveSec: z.exactOptional(
    whole(1, 21_845, "Between one KEEPALIVE and the next; default, and at most: a third of the hold time."),
  ),
  connectRetrySec: z.exactOptional(
    whole(1, DAY_SEC, "Between one attempt to connect and the next; default 5."),
  ),
  connectDelaySec: z.exactOptional(
    whole(
      0,
      DAY_SEC,
      "Before the first attempt to connect, and after one that was refused; default 0: at once, and connectRetrySec.",
    ),
  ),
  errorWaitSec: z.exactOptional(errorWait),
  families: z.exactOptional(families),
  addPath: z.exactOptional(
    oneOf(["none", "receive", "send", "both"], "Several paths to one prefix (RFC 7911); default none."),
  ),
  addPathMax: z.exactOptional(
    whole(1, 1000, "With addPath send or both: how many paths at most; default 64."),
  ),
  extendedNextHop: z.exactOptional(flag("IPv4 routes may have IPv6 next hops (RFC 8950); default false.")),
  prefixLimit: z.exactOptional(prefixLimit),
  routeRefresh: z.exactOptional(flag("Route refresh (RFC 2918); default true.")),
  enhancedRefresh: z.exactOptional(flag("Enhanced route refresh (RFC 7313); default true.")),
  extendedMessage: z.exactOptional(flag("Messages of up to 65535 octets (RFC 8654); default false.")),
  gracefulRestart: z.exactOptional(gracefulRestart),
  rrClient: z.exactOptional(flag("We are a route reflector, and it is a client (RFC 4456); default false.")),
  nextHop: z.exactOptional(
    oneOf(
      ["auto", "self", "forceSelf", "keep"],
      "Next hop of what it is told. auto: ours towards other ASs; self: ours, but reflected routes keep theirs; forceSelf: always ours; keep: as it is. Default auto.",
    ),
  ),
  import: z.exactOptional(policyName("Policy for what it tells us")),
  export: z.exactOptional(policyName("Policy for what it is told")),
  allowLocalAs: z.exactOptional(whole(0, 255, "How often our own AS may be in its paths; default 0.")),
  checkPeerAs: z.exactOptional(
    flag("Do not tell it what has been through its AS: it would throw that away; default false."),
  ),
  mraiSec: z.exactOptional(
    whole(0, 600, "Shortest time between two announcements of a prefix (RFC 4271); default 0."),
  ),
  password: z.exactOptional(
    words(80, "TCP MD5 signatures (RFC 2385). Needs Linux and the package koffi.", "secret"),
  ),
  ttlSecurityHops: z.exactOptional(
    whole(
      1,
      255,
      "Hear it over so many links at most (RFC 5082, GTSM); it must do the same. Needs Linux and the package koffi.",
    ),
  ),
  bfd: z.exactOptional(bfd),
  shutdown: z.exactOptional(flag("Leave it down until `enable`; default false.")),
  enforceFirstAs: z.exactOptional(
    flag("From another AS, its own must be the first of each path; false for route servers; default true."),
  ),
  requireLocalPref: z.exactOptional(
    flag("Inside our AS, a route without LOCAL_PREF is treated as withdrawn; default false."),
  ),
};

const options = about(z.strictObject(OPTIONS), "Options that several neighbors share.");

const templateName = name("A template: options that count where the neighbor itself has none", "leaf");

const neighbor = about(
  z.strictObject({
    name: z.exactOptional(name("Its name, unique in the file; default: its address", "spine1")),
    address: nodeAddress("Its address.", "10.0.1.2"),
    template: z.exactOptional(templateName),
    ...OPTIONS,
  }),
  "A neighbor.",
);

const range = z.lazy(() =>
  about(
    z.strictObject({
      name: name("Its name, unique in the file", "leafs"),
      prefix: ipv4Prefix("The addresses that may call.", "10.0.2.0/24"),
      limit: z.exactOptional(whole(1, 100_000, "How many neighbors it may bring at a time; default 1000.")),
      template: z.exactOptional(templateName),
      ...OPTIONS,
    }),
    "Addresses that may call without being neighbors: they become neighbors by calling.",
  ),
);

export const templates = about(
  z._default(z.record(name("A template's name", "leaf"), options), {}),
  "Options by name, for the `template` of neighbors and ranges.",
);
export const neighbors = about(
  z._default(z.array(neighbor).check(z.maxLength(NEIGHBORS_MAX)), []),
  "The neighbors.",
);
export const ranges = about(
  z._default(z.array(range).check(z.maxLength(RANGES_MAX)), []),
  "Ranges of addresses that may call.",
);

export const clusterId = identifier("Of the route reflector's cluster (RFC 4456); default: routerId.");

export type Options = z.output<typeof options>;
export type NeighborText = z.output<typeof neighbor>;
export type RangeText = z.output<typeof range>;
