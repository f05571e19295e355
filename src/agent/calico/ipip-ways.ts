// The sockets of IPIP: which are asked for, which have come, and what others may be told of that.
import type { Ipv4Addr } from "../../base/ipv4-addr.ts";
import type { StackContext } from "../../stack/stack-context.ts";
import { FOU_PORT, Fou } from "../../tunnel/fou.ts";
import type { IpipCarrier, IpipCarrierKind } from "../../tunnel/ipip-carrier.ts";
import type { Underlay } from "../../tunnel/underlay.ts";
import type { AgentOutput } from "../agent-messages.ts";
import type { Felix } from "./felix/felix.ts";

/** How IPIP leaves the node. `auto`: as protocol 4 where the process may, and in UDP. */
export type IpipChoice = "auto" | "proto4" | "fou";

export interface IpipWaysOptions {
  readonly choice: IpipChoice;
  readonly underlay: Ipv4Addr;
  readonly ctx: StackContext;
  readonly felix: Felix;
  readonly log: (level: "debug" | "info", message: string) => void;
}

export class IpipWays {
  readonly #options: IpipWaysOptions;
  /** Is it known whether the process may send IP protocol 4, and is FOU's port open? */
  #rawAnswered = false;
  #fouOpen = false;

  constructor(options: IpipWaysOptions) {
    this.#options = options;
  }

  /** What is asked of the driver. */
  sockets(): AgentOutput[] {
    const { choice, underlay } = this.#options;
    const asked: AgentOutput[] = [{ t: "openRawIcmp" }];
    if (choice !== "proto4") asked.push({ t: "listen", local: underlay, port: FOU_PORT });
    if (choice !== "fou") asked.push({ t: "openRawIp" });
    return asked;
  }

  /** FOU's port is open; datagrams go to what this answers. */
  fouOpened(underlay: Underlay): Fou {
    const fou = new Fou(this.#options.ctx, underlay, this.#options.felix.ipip);
    this.#fouOpen = true;
    this.#opened(fou);
    return fou;
  }

  rawOpened(carrier: IpipCarrier): void {
    this.#rawAnswered = true;
    this.#opened(carrier);
  }

  /** @returns may the node go on without? */
  rawFailed(message: string): boolean {
    this.#rawAnswered = true;
    if (this.#options.choice === "proto4") return false;
    this.#options.log("info", `IPIP goes in UDP (FOU, port ${FOU_PORT}): ${message}`);
    this.#settle();
    return true;
  }

  /** Nothing breaks: see io/raw-icmp.ts. */
  icmpFailed(message: string): void {
    this.#options.log("debug", `pods are not told of path MTUs between nodes: ${message}`);
  }

  /** What others are told that this node takes; undefined: before the sockets are open nobody knows. */
  carriers(): readonly IpipCarrierKind[] | undefined {
    const ways = this.#options.felix.ipip.ways();
    const waits = this.#options.choice === "auto" && !this.#rawAnswered;
    return ways.length === 0 || waits ? undefined : ways;
  }

  #opened(carrier: IpipCarrier): void {
    this.#options.felix.ipipOpened(carrier);
    this.#settle();
  }

  #settle(): void {
    const { choice, felix } = this.#options;
    const all = (choice === "proto4" || this.#fouOpen) && (choice === "fou" || this.#rawAnswered);
    if (all) felix.ipip.settle();
  }
}
