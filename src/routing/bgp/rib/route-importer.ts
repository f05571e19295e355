// From a route as a neighbour told it to one that may be chosen: loops, import policy, the ways to next hops.
import { countAs, EMPTY_AS_PATH } from "../../../wire/bgp/as-path.ts";
import { Community } from "../../../wire/bgp/communities.ts";
import { Family } from "../../../wire/bgp/family.ts";
import { isMartianNextHop, type NextHop } from "../../../wire/bgp/next-hop.ts";
import type { PolicyInput } from "../policy/policy.ts";
import type { RibOptions } from "./rib-options.ts";
import { ImportedRoute } from "./rib-path.ts";
import type { RibPeer } from "./rib-peer.ts";
import { type Ineligible, type RibPrefix, RouteAttributes } from "./route.ts";

/** The question to a policy, used again for the next prefix. */
interface Question extends PolicyInput {
  prefix: RibPrefix;
  route: RouteAttributes;
  source: RibPeer;
}

/** LOCAL_PREF of what will go away soon: any other way is better. @rfc 8326#4.1 */
const SHUTDOWN_LOCAL_PREF = 0;

/**
 * Judges routes of one neighbour after another. The prefixes of an UPDATE share what was found out about its attributes, so each but
 * the first costs no more than its policy's answer.
 */
export class RouteImporter {
  readonly #options: RibOptions;
  /** Routes with GRACEFUL_SHUTDOWN, and what they become. */
  readonly #shutDown = new WeakMap<RouteAttributes, RouteAttributes>();
  #source: RibPeer | undefined = undefined;
  #question: Question | undefined = undefined;
  /** The last that policy let pass, and as what; the last that it refused. */
  #passed: ImportedRoute | undefined = undefined;
  #passedAs: RouteAttributes | undefined = undefined;
  #refused: ImportedRoute | undefined = undefined;

  constructor(options: RibOptions) {
    this.#options = options;
  }

  /** What follows is from this neighbour. Nothing that was found out before counts any more. */
  begin(source: RibPeer): void {
    this.#source = source;
    this.#passed = undefined;
    this.#passedAs = undefined;
    this.#refused = undefined;
  }

  /** @rfc 4271#9.1.1 @rfc 4271#9.1.2 */
  judge(prefix: RibPrefix, received: RouteAttributes): ImportedRoute {
    if (isMulticastPrefix(prefix)) return new ImportedRoute(received, undefined, "martianPrefix", 0);
    const passed = this.#ask(prefix, received);
    if (passed === undefined) {
      if (this.#refused?.received === received) return this.#refused;
      const why = this.#loop(received) ?? "rejected";
      this.#refused = new ImportedRoute(received, undefined, why, 0);
      return this.#refused;
    }
    if (this.#passedAs === passed && this.#passed?.received === received) return this.#passed;
    const source = this.#source as RibPeer;
    const imported = source.config.internal ? passed : this.#gracefulShutdown(passed);
    const loop = this.#loop(received);
    this.#passed =
      loop === undefined ? this.#resolve(received, imported) : new ImportedRoute(received, imported, loop, 0);
    this.#passedAs = passed;
    return this.#passed;
  }

  /** Looks up the way to the next hop anew, and nothing else. The same object if nothing is different. */
  judgeNextHop(route: ImportedRoute): ImportedRoute {
    const { received, imported, ineligible, metric } = route;
    if (imported === undefined || isLoop(ineligible)) return route;
    const passed = this.#passed;
    const known = passed !== undefined && passed.imported === imported && passed.received === received;
    const again = known ? passed : this.#resolve(received, imported);
    this.#passed = again;
    return again.ineligible === ineligible && again.metric === metric ? route : again;
  }

  #ask(prefix: RibPrefix, route: RouteAttributes): RouteAttributes | undefined {
    const source = this.#source as RibPeer;
    let question = this.#question;
    if (question === undefined) {
      question = { prefix, route, source };
      this.#question = question;
    }
    question.prefix = prefix;
    question.route = route;
    question.source = source;
    return source.config.importPolicy.evaluate(question);
  }

  /** @rfc 4271#9.1.2 @rfc 4456#8 */
  #loop(received: RouteAttributes): Ineligible | undefined {
    const { localAs, routerId, clusterId } = this.#options;
    const { asPath, originatorId, clusterList } = received.attributes;
    const { localAs: otherAs, allowLocalAs } = (this.#source as RibPeer).config;
    let times = countAs(asPath ?? EMPTY_AS_PATH, localAs);
    if (otherAs !== localAs) times += countAs(asPath ?? EMPTY_AS_PATH, otherAs);
    if (times > allowLocalAs) return "asLoop";
    if (originatorId === routerId) return "ownOriginatorId";
    return clusterList.includes(clusterId) ? "ownClusterId" : undefined;
  }

  /** @rfc 8326#4.1 */
  #gracefulShutdown(route: RouteAttributes): RouteAttributes {
    const { attributes, nextHop, weight, sets } = route;
    if (!attributes.communities.includes(Community.GRACEFUL_SHUTDOWN)) return route;
    let shutDown = this.#shutDown.get(route);
    if (shutDown === undefined) {
      const last = { ...attributes, localPref: SHUTDOWN_LOCAL_PREF };
      shutDown = new RouteAttributes(last, nextHop, weight, sets);
      this.#shutDown.set(route, shutDown);
    }
    return shutDown;
  }

  /** @rfc 4271#9.1.2.1 */
  #resolve(received: RouteAttributes, imported: RouteAttributes): ImportedRoute {
    const { nextHop } = imported;
    const useless = this.#useless(nextHop);
    if (useless !== undefined) return new ImportedRoute(received, imported, useless, 0);
    const metric = this.#options.nextHopMetric(nextHop);
    return metric === undefined
      ? new ImportedRoute(received, imported, "unreachable", 0)
      : new ImportedRoute(received, imported, undefined, metric);
  }

  /** @rfc 4271#6.3 */
  #useless(nextHop: NextHop): Ineligible | undefined {
    if (isMartianNextHop(nextHop)) return "martianNextHop";
    return this.#options.isLocalAddress(nextHop) ? "ownNextHop" : undefined;
  }
}

/** Does the prefix hold nothing but multicast? Such a route is of no use to unicast, and no fault of the session. @rfc 4271#6.3 */
function isMulticastPrefix({ family, a, len }: RibPrefix): boolean {
  return family === Family.IPV4_UNICAST ? len >= 4 && a >>> 28 === 0xe : len >= 8 && a >>> 24 === 0xff;
}

function isLoop(why: Ineligible | undefined): boolean {
  return why === "asLoop" || why === "ownOriginatorId" || why === "ownClusterId";
}
