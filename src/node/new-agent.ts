// The agent that a node's configuration asks for.
import { FlannelAgent } from "../agent/flannel/flannel-agent.ts";
import type { NodeAgent } from "../agent/node-agent.ts";
import type { Rng } from "../base/rng.ts";
import type { NodeConfig } from "./config.ts";

/** @param files what an earlier run has left */
export function newAgent(config: NodeConfig, files: ReadonlyMap<string, string>, rng: Rng): NodeAgent {
  const basics = {
    name: config.name,
    underlay: config.address,
    segment: config.segment,
    underlayMtuBytes: config.mtuBytes,
    files: new Map(files),
  };
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
