// The request `assignIp`: one particular address. Its block is claimed if there is none. Specs on Calico §1.4.
import { formatIpv4, prefixOf } from "../../../base/ipv4-addr.ts";
import { allocateOrdinal } from "./block-allocation.ts";
import { assignInBlock } from "./block-assign.ts";
import { BlockClaim } from "./block-claim.ts";
import type { AllocationAttribute } from "./ipam-block.ts";
import {
  CAS_TRIES,
  type IpamContext,
  poolOf,
  readBlock,
  readConfig,
  type StoredBlock,
  tooManyTries,
} from "./ipam-context.ts";
import { blockKey } from "./ipam-keys.ts";
import type { IpamAnswer, IpamRequest } from "./ipam-messages.ts";
import { getKey, IpamFault, type Steps } from "./store-steps.ts";

type AssignIpRequest = Extract<IpamRequest, { readonly t: "assignIp" }>;

export function* assignIp(context: IpamContext, request: AssignIpRequest): Steps<IpamAnswer> {
  const { host, addr, handle } = request;
  const enabled = context.pools(host, undefined).filter((pool) => !pool.disabled);
  const pool = poolOf(enabled, addr);
  if (pool === undefined) {
    throw new IpamFault("notInPool", "The provided IP address is not in a configured pool");
  }
  const config = yield* readConfig();
  const cidr = prefixOf(addr, pool.blockSize);
  const owner: AllocationAttribute = { handleId: handle, secondary: request.attributes };
  const claims = new BlockClaim(context, host);
  let stored: StoredBlock | undefined;
  for (let i = 0; i < CAS_TRIES; i++) {
    if (stored === undefined) {
      const kv = yield* getKey(blockKey(cidr));
      stored = kv === undefined ? (yield* claims.claim(cidr))?.stored : readBlock(kv);
      // Another host claimed it before us.
      if (stored === undefined) continue;
    }
    if (config.strictAffinity && stored.block.host !== host) {
      throw new IpamFault("notAffine", "Block host affinity does not match");
    }
    const ordinal = addr - cidr.addr;
    const wanted = allocateOrdinal(stored.block, ordinal, owner);
    if (wanted === undefined) {
      throw new IpamFault(
        "taken",
        `resource already exists: ${formatIpv4(addr)} with error: Address already assigned in block`,
      );
    }
    const outcome = yield* assignInBlock(stored, wanted, [ordinal], owner);
    if (outcome.t === "assigned") return { addrs: outcome.addrs, error: undefined };
    stored = outcome.current;
  }
  throw tooManyTries(`block of ${formatIpv4(addr)}`);
}
