import { formatIpv4, type Ipv4Addr } from "../../../base/ipv4-addr.ts";
import type { Rng } from "../../../base/rng.ts";
import type { Instant } from "../../../base/time.ts";
import { diagName } from "../../../wire/bfd.ts";
import type { BfdStatus } from "../../bfd/bfd-messages.ts";
import { BfdTable } from "../../bfd/bfd-table.ts";
import type { Neighbor } from "./neighbor.ts";
import type { SpeakerInput, SpeakerOutput } from "./speaker-messages.ts";

/**
 * Watches the paths to neighbours that want it, from when they are started until they are stopped. That a path is not up keeps no
 * session from coming up: the neighbour may not speak BFD at all. @rfc 5882#10.2
 */
export class BfdWatch {
  readonly #table: BfdTable;
  readonly #emit: (output: SpeakerOutput) => void;
  readonly #onFailed: (addr: Ipv4Addr) => void;

  /** @param onFailed the path was up, and is lost */
  constructor(rng: Rng, emit: (output: SpeakerOutput) => void, onFailed: (addr: Ipv4Addr) => void) {
    this.#table = new BfdTable(rng);
    this.#emit = emit;
    this.#onFailed = onFailed;
  }

  add({ bfd, addr, localAddr }: Neighbor, now: Instant): void {
    if (bfd === undefined) return;
    this.#table.add({ remote: addr, local: localAddr, timers: bfd }, now);
    this.#drain();
  }

  del({ bfd, addr }: Neighbor, now: Instant): void {
    if (bfd === undefined) return;
    this.#table.del(addr, now);
    this.#drain();
  }

  received({ from, bytes, ttl }: SpeakerInput & { readonly t: "bfdReceived" }, now: Instant): void {
    this.#table.handle({ t: "received", from, bytes, ttl }, now);
    this.#drain();
  }

  tick(now: Instant): void {
    if (this.#table.nextDeadline() > now) return;
    this.#table.handle({ t: "tick" }, now);
    this.#drain();
  }

  nextDeadline(): Instant {
    return this.#table.nextDeadline();
  }

  status(addr: Ipv4Addr): BfdStatus | undefined {
    return this.#table.status(addr);
  }

  #drain(): void {
    for (let output = this.#table.poll(); output !== undefined; output = this.#table.poll()) {
      if (output.t === "send") {
        const { local, to, sourcePort, bytes } = output;
        this.#emit({ t: "bfdSend", local, to, sourcePort, bytes });
        continue;
      }
      const { remote, from, to, diag, failed } = output;
      const why = diag === 0 ? "" : ` (${diagName(diag)})`;
      const message = `BFD with ${formatIpv4(remote)}: ${from} -> ${to}${why}`;
      this.#emit({ t: "log", level: failed ? "warn" : "info", event: "bfd", message });
      if (failed) this.#onFailed(remote);
    }
  }
}
