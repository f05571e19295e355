// The agent that a node's configuration asks for.
import { CalicoAgent } from "../agent/calico/calico-agent.ts";
import { FlannelAgent } from "../agent/flannel/flannel-agent.ts";
import type { NodeAgent } from "../agent/node-agent.ts";
import type { Rng } from "../base/rng.ts";
import { type Instant, MS_US } from "../base/time.ts";
import type { Clock } from "../io/clock.ts";
import type { NodeConfig } from "./config.ts";

/** @param files what an earlier run has left */
export function newAgent(
  config: NodeConfig,
  files: ReadonlyMap<string, string>,
  rng: Rng,
  clock: Clock,
): NodeAgent {
  const basics = {
    name: config.name,
    underlay: config.address,
    segment: config.segment,
    underlayMtuBytes: config.mtuBytes,
    files: new Map(files),
  };
  if (config.cni === "calico") {
    const { calicoVersion: version, bgpTimers: timers, ipipCarrier, gateway } = config;
    // The time of day does not jump for a node that runs.
    const startMs = Date.now() - clock.now() / MS_US;
    const wallMs = (now: Instant): number => startMs + now / MS_US;
    return new CalicoAgent({ ...basics, version, timers, ipipCarrier, gateway }, { rng, wallMs });
  }
  const { leaseMode, leaseTtlSec, leaseMarginSec } = config;
  return new FlannelAgent(
    {
      ...basics,
      etcdPrefix: config.etcdPrefix,
      lease:
        leaseMode === "keepalive"
          ? { mode: "keepalive", ttlSec: leaseTtlSec }
          : { mode: "renew", ttlSec: leaseTtlSec, renewMarginSec: leaseMarginSec },
      strict: config.strict,
      wishedSubnet: config.subnet,
    },
    { rng },
  );
}
