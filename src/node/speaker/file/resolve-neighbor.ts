// Neighbours and ranges of a file as the engine has them: templates filled in, defaults after them, and what does not go together.
import { formatIpv4, type Ipv4Addr } from "../../../base/ipv4-addr.ts";
import { nearestWord } from "../../../base/nearest-word.ts";
import { type DocPath, type DocumentFaults, keyText } from "../../../io/document/problem.ts";
import type { Policy } from "../../../routing/bgp/policy/policy.ts";
import { DEFAULT_FSM_OPTIONS } from "../../../routing/bgp/session/fsm-types.ts";
import {
  DEFAULT_GRACEFUL_RESTART,
  type FamilyConfig,
  type GracefulRestartConfig,
  type PeerConfig,
  type PrefixLimit,
  peerConfig,
} from "../../../routing/bgp/session/peer-config.ts";
import type {
  NeighborBfd,
  NeighborConfig,
  NeighborRoutes,
  RangeConfig,
} from "../../../routing/bgp/speaker/speaker-config.ts";
import { Family } from "../../../wire/bgp/family.ts";
import type { Ipv6Addr } from "../../../wire/bgp/ipv6-addr.ts";
import type { PeerAs } from "../../../wire/bgp/open.ts";
import type { NeighborText, Options, RangeText } from "./neighbor-schema.ts";
import { BUILT_IN } from "./resolve-policy.ts";

/** Faster than the RFC's two minutes, which were made for routers far away; Calico's BIRD has the same. */
const CONNECT_RETRY_SEC = 5;
const ERROR_WAIT_SEC = [5, 60] as const;
const ADD_PATH_MAX = 64;
const WARN_PERCENT = 75;
const RANGE_LIMIT = 1000;
const BFD_MS = 300;
const BFD_MULTIPLIER = 3;

/** What neighbours have in common. */
export interface NeighborContext {
  readonly localAs: number;
  readonly routerId: Ipv4Addr;
  readonly address: Ipv4Addr;
  readonly address6: Ipv6Addr | undefined;
  /** Where neighbours listen that do not say it. */
  readonly port: number;
  readonly gracefulRestart: boolean;
  /** Without a policy of its own, an external neighbour is told nothing. */
  readonly requirePolicy: boolean;
  readonly traceMessages: boolean;
  readonly templates: Readonly<Record<string, Options>>;
  readonly policies: ReadonlyMap<string, Policy>;
  readonly faults: DocumentFaults;
}

/** Undefined when it has a fault without which nothing can be made of it. */
export function resolveNeighbor(
  text: NeighborText,
  i: number,
  cx: NeighborContext,
): NeighborConfig | undefined {
  const reader = new OptionReader(text, ["neighbors", i], cx);
  const { options } = reader;
  const peerAs = reader.peerAs();
  if (peerAs === undefined) return undefined;
  return {
    name: text.name ?? formatIpv4(text.address),
    addr: text.address,
    port: options.port ?? cx.port,
    localAddr: cx.address,
    session: reader.session(peerAs),
    routes: reader.routes(),
    bfd: reader.bfd(),
    password: options.password,
    ttlSecurityHops: options.ttlSecurityHops,
    shutdown: options.shutdown ?? false,
  };
}

/** As {@link resolveNeighbor}. */
export function resolveRange(text: RangeText, i: number, cx: NeighborContext): RangeConfig | undefined {
  const path: DocPath = ["ranges", i];
  const reader = new OptionReader(text, path, cx);
  for (const key of ["passive", "port", "shutdown"] as const) {
    if (text[key] === undefined) continue;
    cx.faults.add(
      [...path, key],
      "says nothing here: a range waits for calls, and is there or is not",
      "Take it out.",
    );
  }
  if (reader.options.ttlSecurityHops !== undefined) {
    cx.faults.add(
      reader.whereIs("ttlSecurityHops"),
      "a range cannot have a bound on hops: it is known to the socket, before anybody knows who calls",
      "Name the neighbors one by one, or take ttlSecurityHops out.",
    );
  }
  if (reader.options.password !== undefined) {
    cx.faults.add(
      reader.whereIs("password"),
      "a range cannot have a password: TCP has to know the address that a password is for",
      "Name the neighbors one by one, or take the password out.",
    );
  }
  const peerAs = reader.peerAs();
  if (peerAs === undefined) return undefined;
  return {
    name: text.name,
    prefix: { addr: text.prefix.a, len: text.prefix.len },
    peerAs,
    limit: text.limit ?? RANGE_LIMIT,
    localAddr: cx.address,
    session: reader.session(peerAs),
    routes: reader.routes(),
    bfd: reader.bfd(),
  };
}

type OptionKey = keyof Options;

/** One neighbour's own options before its template's. */
class OptionReader {
  readonly options: Options;
  readonly #own: NeighborText | RangeText;
  readonly #path: DocPath;
  readonly #template: string | undefined;
  readonly #cx: NeighborContext;

  constructor(text: NeighborText | RangeText, path: DocPath, cx: NeighborContext) {
    const { template } = text;
    const known = template !== undefined && Object.hasOwn(cx.templates, template);
    if (template !== undefined && !known) {
      const message = `there is no template "${template}"`;
      cx.faults.add(
        [...path, "template"],
        message,
        nameRemedy(template, Object.keys(cx.templates), "templates"),
      );
    }
    this.#own = text;
    this.#path = path;
    this.#template = known ? template : undefined;
    this.#cx = cx;
    this.options = { ...(known ? cx.templates[template] : {}), ...text };
  }

  /** Where an option stands, so that a fault is shown there. */
  whereIs(key: OptionKey): DocPath {
    const inTemplate = this.#own[key] === undefined && this.#template !== undefined;
    return inTemplate && this.options[key] !== undefined
      ? ["templates", this.#template as string, key]
      : [...this.#path, key];
  }

  peerAs(): PeerAs | undefined {
    const { as } = this.options;
    const { localAs: ours, faults } = this.#cx;
    if (as === undefined) {
      // Of a template that there is not, nothing is known.
      if (this.#own.template === undefined || this.#template !== undefined)
        faults.add(
          [...this.#path, "as"],
          "is missing, and no template has it",
          "Add the key: an AS number, internal, external, any, or a list of numbers.",
        );
      return undefined;
    }
    const { localAs = ours, rrClient } = this.options;
    const external = as === "external" || (typeof as === "number" && as !== localAs);
    if (rrClient === true && external) {
      faults.add(
        this.whereIs("rrClient"),
        `only a neighbor in our own AS, ${localAs}, can be a client of a route reflector`,
        `Take it out, or correct ${keyText(this.whereIs("as"))}.`,
      );
    }
    return Array.isArray(as) ? new Set(as) : (as as PeerAs);
  }

  session(peerAs: PeerAs): PeerConfig {
    const { options: o } = this;
    const { localAs, routerId, traceMessages } = this.#cx;
    const [idleHoldMinSec, idleHoldMaxSec] = this.#errorWait();
    return peerConfig({
      localAs: o.localAs ?? localAs,
      routerId,
      peerAs,
      holdTimeSec: o.holdTimeSec ?? 90,
      holdTimeMinSec: o.holdTimeMinSec ?? 0,
      families: this.#families(),
      fsm: {
        ...DEFAULT_FSM_OPTIONS,
        passive: o.passive ?? false,
        keepaliveSec: o.keepaliveSec,
        connectRetrySec: o.connectRetrySec ?? CONNECT_RETRY_SEC,
        connectDelaySec: o.connectDelaySec ?? 0,
        idleHoldMinSec,
        idleHoldMaxSec,
      },
      rules: {
        confederationMember: false,
        enforceFirstAs: o.enforceFirstAs ?? true,
        requireLocalPref: o.requireLocalPref ?? false,
      },
      routeRefresh: o.routeRefresh ?? true,
      enhancedRefresh: o.enhancedRefresh ?? true,
      extendedMessage: o.extendedMessage ?? false,
      gracefulRestart: this.#gracefulRestart(),
      traceMessages,
    });
  }

  routes(): NeighborRoutes {
    const { options: o } = this;
    const { address, address6 } = this.#cx;
    const sends = o.addPath === "send" || o.addPath === "both";
    if (o.addPathMax !== undefined && !sends) {
      this.#cx.faults.add(
        this.whereIs("addPathMax"),
        "several paths are not sent without addPath",
        "Add addPath: send (or both), or take addPathMax out.",
      );
    }
    return {
      rrClient: o.rrClient ?? false,
      nextHop: o.nextHop ?? "auto",
      localAddr: address,
      localAddr6: address6,
      importPolicy: this.#policy("import"),
      exportPolicy: this.#policy("export"),
      allowLocalAs: o.allowLocalAs ?? 0,
      checkPeerAs: o.checkPeerAs ?? false,
      addPathMax: sends ? (o.addPathMax ?? ADD_PATH_MAX) : 1,
      mraiSec: o.mraiSec ?? 0,
    };
  }

  bfd(): NeighborBfd | undefined {
    const { bfd } = this.options;
    if (bfd === undefined || bfd === false) return undefined;
    const {
      desiredMinTxMs = BFD_MS,
      requiredMinRxMs = BFD_MS,
      detectMult = BFD_MULTIPLIER,
    } = bfd === true ? {} : bfd;
    return {
      desiredMinTxUs: desiredMinTxMs * 1000,
      requiredMinRxUs: requiredMinRxMs * 1000,
      detectMult,
    };
  }

  #errorWait(): readonly [number, number] {
    const [min = ERROR_WAIT_SEC[0], max = ERROR_WAIT_SEC[1]] = this.options.errorWaitSec ?? [];
    if (min > max) {
      this.#cx.faults.add(
        this.whereIs("errorWaitSec"),
        `the longest wait, ${max} s, is shorter than the first, ${min} s`,
        `Write [${max}, ${min}].`,
      );
    }
    return [min, max];
  }

  #families(): FamilyConfig[] {
    const { options: o } = this;
    const { faults } = this.#cx;
    const names = [...new Set(o.families ?? ["ipv4"])];
    if (o.extendedNextHop === true && !names.includes("ipv4")) {
      faults.add(
        this.whereIs("extendedNextHop"),
        "is about IPv4 routes, which the neighbor is not told: ipv4 is not in its families",
        "Add ipv4 to families, or take extendedNextHop out.",
      );
    }
    const { addPath = "none" } = o;
    const limit = this.#prefixLimit();
    return names.map((name): FamilyConfig => {
      const family = name === "ipv4" ? Family.IPV4_UNICAST : Family.IPV6_UNICAST;
      return {
        family,
        addPath: {
          receive: addPath === "receive" || addPath === "both",
          send: addPath === "send" || addPath === "both",
        },
        extendedNextHop: o.extendedNextHop === true && family === Family.IPV4_UNICAST,
        ...(limit === undefined ? {} : { prefixLimit: limit }),
        forwardingPreserved: this.#cx.gracefulRestart,
      };
    });
  }

  #prefixLimit(): PrefixLimit | undefined {
    const { prefixLimit } = this.options;
    if (prefixLimit === undefined) return undefined;
    const { limit, warnPercent = WARN_PERCENT, restartSec } = prefixLimit;
    return { limit, warnPercent, restartSec };
  }

  #gracefulRestart(): GracefulRestartConfig | undefined {
    const { gracefulRestart: given = this.#cx.gracefulRestart ? true : undefined } = this.options;
    if (given === undefined) return DEFAULT_GRACEFUL_RESTART;
    if (given === false) return undefined;
    return { ...DEFAULT_GRACEFUL_RESTART, helperOnly: false, ...(given === true ? {} : given) };
  }

  /** Whoever might be of another AS counts as external. @rfc 8212#2 */
  #defaultPolicy(): "all" | "none" {
    const { requirePolicy, localAs: ours } = this.#cx;
    const { as, localAs = ours } = this.options;
    const internal = as === "internal" || [as].flat().every((one) => one === localAs);
    return requirePolicy && !internal ? "none" : "all";
  }

  #policy(key: "import" | "export"): Policy {
    const { policies, faults } = this.#cx;
    const name = this.options[key] ?? this.#defaultPolicy();
    const policy = policies.get(name) ?? BUILT_IN.get(name);
    if (policy !== undefined) return policy;
    const known = [...policies.keys(), ...BUILT_IN.keys()];
    faults.add(this.whereIs(key), `there is no policy "${name}"`, nameRemedy(name, known, "policies"));
    return BUILT_IN.get("none") as Policy;
  }
}

/** What a name that there is not was perhaps meant to be. */
export function nameRemedy(name: string, known: readonly string[], where: string): string {
  const near = nearestWord(name, known);
  if (near !== undefined) return `Did you mean "${near}"?`;
  return known.length === 0
    ? `There are none: write one under \`${where}\`.`
    : `There are: ${known.slice(0, 20).join(", ")}.`;
}
