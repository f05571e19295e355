import { EMPTY_AS_PATH } from "../../../wire/bgp/as-path.ts";
import { NO_ATTRIBUTES, Origin } from "../../../wire/bgp/attributes/path-attributes.ts";
import { sortCommunities } from "../../../wire/bgp/communities.ts";
import type { LocalRoute } from "../rib/route.ts";
import type { NetworkConfig } from "./speaker-config.ts";

/** A network of our own as a route. @rfc 4271#9.4 */
export function localRoute({ nextHop, med, localPref, origin, communities }: NetworkConfig): LocalRoute {
  const attributes = {
    ...NO_ATTRIBUTES,
    origin: origin ?? Origin.IGP,
    asPath: EMPTY_AS_PATH,
    med,
    localPref,
    ...(communities === undefined ? {} : { communities: sortCommunities(communities) }),
  };
  return { attributes, nextHop };
}
