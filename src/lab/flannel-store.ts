// Flannel's part of a lab's store: the network's configuration, and the leases.
import { formatPrefix } from "../base/ipv4-addr.ts";
import { decodeUtf8, encodeUtf8 } from "../base/utf8.ts";
import { NO_LEASE } from "../control/datastore/messages.ts";
import { emitConfigKey, parseSubnetKey, subnetsRange } from "../control/flannel/subnet-key.ts";
import type { EtcdTransport } from "../io/etcd/etcd-transport.ts";
import { PodloomError } from "../io/podloom-error.ts";
import type { Lab } from "./resolve-lab.ts";
import { retried, type StoreNetwork, type StoreSubnets, sameJson } from "./store-network.ts";

export class FlannelStore implements StoreNetwork {
  readonly #lab: Lab;

  constructor(lab: Lab) {
    this.#lab = lab;
  }

  async configure(transport: EtcdTransport, force: boolean): Promise<void> {
    const { networkJson, etcdPrefix, store } = this.#lab;
    const key = emitConfigKey(etcdPrefix);
    const value = encodeUtf8(networkJson);
    const absent = { key, target: "version", op: "equal", operand: 0 } as const;
    const put = { t: "put", key, value, lease: NO_LEASE } as const;
    const range = { t: "range", range: { key, rangeEnd: undefined } } as const;
    const outcome = await retried(() => transport.txn([absent], [put], [range]));
    if (outcome.succeeded) return;
    const reply = outcome.replies[0];
    const found = reply?.t === "range" ? reply.kvs[0] : undefined;
    const text = found === undefined ? "" : (decodeUtf8(found.value) ?? "");
    if (sameJson(text, networkJson)) return;
    if (store.kind === "external" && !force) {
      throw new PodloomError(
        "PL_CONFIG_FOREIGN",
        `the store holds another network configuration under ${key}: ${text.slice(0, 300)}`,
        {
          remedy:
            "Use it in the lab file's `network`, choose another etcdPrefix, or replace it with --force-config.",
        },
      );
    }
    await transport.put(key, value, NO_LEASE);
  }

  /** In our own store nobody else configures the network. */
  configureAgain(transport: EtcdTransport): Promise<void> {
    return this.configure(transport, true);
  }

  /**
   * The subnets that keys of leases name.
   *
   * Values are not judged here. Whether a lease can be used depends on who reads it: on its backend, its own subnet, its own
   * address, and on what it knew before the value was spoilt. So each node reports the subnets that it ignores
   * (`NodeState.ignored`), and whoever compares takes those away.
   */
  async subnets(transport: EtcdTransport): Promise<StoreSubnets> {
    const { kvs } = await transport.range(subnetsRange(this.#lab.etcdPrefix));
    const subnets = kvs.flatMap((kv) => parseSubnetKey(kv.key)?.subnet ?? []);
    const texts = subnets.sort((a, b) => a.addr - b.addr || a.len - b.len).map(formatPrefix);
    return { storeLeases: [...new Set(texts)], storeOptional: [] };
  }
}
