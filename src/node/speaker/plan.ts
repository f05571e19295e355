// What a file comes to: everything that a speaker is made with. All of it has been checked.
import type { Ipv4Addr } from "../../base/ipv4-addr.ts";
import type { ListenAddress } from "../../io/bgp/bgp-listener.ts";
import type { Carrier } from "../../io/host-address.ts";
import type { Policy } from "../../routing/bgp/policy/policy.ts";
import type {
  NeighborConfig,
  NetworkConfig,
  RangeConfig,
  SpeakerConfig,
} from "../../routing/bgp/speaker/speaker-config.ts";
import type { Ipv6Addr } from "../../wire/bgp/ipv6-addr.ts";
import type { HostPort } from "./file/values.ts";

export interface SpeakerPlan {
  readonly name: string;
  readonly carrier: Carrier;
  readonly address: Ipv4Addr;
  readonly address6: Ipv6Addr | undefined;
  /** Empty: nobody may call. */
  readonly listen: readonly ListenAddress[];
  readonly speaker: SpeakerConfig;
  readonly policies: ReadonlyMap<string, Policy>;
  readonly neighbors: readonly NeighborConfig[];
  readonly ranges: readonly RangeConfig[];
  readonly networks: readonly NetworkConfig[];
  readonly metrics: HostPort | undefined;
  /** Path of a capture file. */
  readonly capture: string | undefined;
}

/** What does not stand in the file, but on the command line; or what the running speaker has. */
export interface PlanSurroundings {
  /** Instead of the file's name. */
  readonly name: string | undefined;
  /** When neither says it. */
  readonly defaultName: string;
  readonly restarting: boolean;
  /** Record each message: somebody reads such a log. */
  readonly traceMessages: boolean;
  readonly metrics: HostPort | undefined;
  readonly capture: string | undefined;
  /** Policies that are in use. An equal one of the file gives way to them, so that nothing that uses it is touched. */
  readonly policies: ReadonlyMap<string, Policy>;
}
