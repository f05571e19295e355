// The request `configure`: `calicoctl ipam configure`. Specs on Calico §1.3 and §1.4.
import { CAS_TRIES, readConfig, tooManyTries } from "./ipam-context.ts";
import { IPAM_CONFIG_KEY } from "./ipam-keys.ts";
import type { IpamAnswer } from "./ipam-messages.ts";
import { checkIpamConfig, emitIpamConfig, type IpamConfig, parseIpamConfig } from "./ipam-values.ts";
import { getKey, IpamFault, type Steps, updateKey } from "./store-steps.ts";

export function* configureIpam(change: Partial<IpamConfig>): Steps<IpamAnswer> {
  for (let i = 0; i < CAS_TRIES; i++) {
    const seen = yield* getKey(IPAM_CONFIG_KEY);
    if (seen === undefined) {
      // Reading creates it, so that there is something to guard the write by.
      yield* readConfig();
      continue;
    }
    const current = parseIpamConfig(seen.value);
    if (!current.ok) throw new IpamFault("corrupt", `${IPAM_CONFIG_KEY} cannot be used: ${current.error}`);
    const config = checkIpamConfig({ ...current.value, ...change });
    if (!config.ok) throw new IpamFault("invalid", config.error);
    const write = yield* updateKey(seen, emitIpamConfig(config.value));
    if (write.t === "done") return { addrs: [], error: undefined };
  }
  throw tooManyTries(IPAM_CONFIG_KEY);
}
