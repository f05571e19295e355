// MTUs of tunnel devices and pods. Specs on Calico §2.3.
import type { Pool } from "../../../control/calico/calc/pool-table.ts";
import type { FelixConfigurationSpec } from "../../../control/calico/resources.ts";

/** Bytes that VXLAN adds to an IP packet. */
const VXLAN_OVERHEAD_BYTES = 50;

export interface Mtus {
  readonly ipipBytes: number;
  readonly vxlanBytes: number;
  /** What a pod gets that is attached now; those that there are keep theirs. */
  readonly podBytes: number;
}

/**
 * @param ipipOverheadBytes what IPIP adds on its way out of this node
 * @param config 0 and absent: found out from the underlay's
 */
export function mtusOf(
  underlayBytes: number,
  ipipOverheadBytes: number,
  pools: Iterable<Pool>,
  config: FelixConfigurationSpec,
): Mtus {
  const ipipBytes = config.ipipMTU || config.mtu || underlayBytes - ipipOverheadBytes;
  const vxlanBytes = config.vxlanMTU || config.mtu || underlayBytes - VXLAN_OVERHEAD_BYTES;
  let podBytes = config.mtu || underlayBytes;
  for (const { ipipMode, vxlanMode } of pools) {
    if (ipipMode !== "Never") podBytes = Math.min(podBytes, ipipBytes);
    if (vxlanMode !== "Never") podBytes = Math.min(podBytes, vxlanBytes);
  }
  return { ipipBytes, vxlanBytes, podBytes };
}
