// The sockets of one node, opened and closed as its agent asks.
import type { NodeAgent } from "../agent/node-agent.ts";
import { formatIpv4, type Ipv4Addr } from "../base/ipv4-addr.ts";
import type { Instant } from "../base/time.ts";
import type { Clock } from "../io/clock.ts";
import type { CarrierMap } from "../io/host-address.ts";
import { PodloomError } from "../io/podloom-error.ts";
import type { RawIcmp } from "../io/raw-icmp.ts";
import type { RawIp } from "../io/raw-ip.ts";
import { UdpUnderlay } from "../io/udp-underlay.ts";
import { NodeBgp } from "./node-bgp.ts";

export interface NodeSocketsOptions {
  readonly agent: NodeAgent;
  /** The node's address. */
  readonly local: Ipv4Addr;
  readonly carriers: CarrierMap;
  readonly clock: Clock;
  /** Lets `act` change the agent, and carries out what follows. */
  readonly change: (act: (agent: NodeAgent, now: Instant) => void) => void;
  /** Datagrams are with the agent. */
  readonly arrived: () => void;
  /** Why the agent will say that it ends, with its code and remedy. */
  readonly onFailure: (failure: PodloomError) => void;
  /** Nothing can be sent to `dst`. */
  readonly onUncarried: (dst: Ipv4Addr, error: PodloomError) => void;
}

export class NodeSockets {
  readonly #options: NodeSocketsOptions;
  readonly #underlays = new Map<string, UdpUnderlay>();
  #raw: RawIp | undefined;
  #icmp: RawIcmp | undefined;
  #bgp: NodeBgp | undefined;
  /** Settles when every speaker that was told to stop has closed its sockets. */
  #bgpStopped: Promise<void> = Promise.resolve();
  #closed = false;

  constructor(options: NodeSocketsOptions) {
    this.#options = options;
  }

  /** Opens a UDP port; the agent is told how that went. */
  listen(local: Ipv4Addr, port: number): void {
    const { agent, carriers, clock, change, arrived, onUncarried } = this.#options;
    UdpUnderlay.open({ local, port, carriers, ctx: agent.stack, clock, wake: arrived, onUncarried }).then(
      (underlay) => {
        if (this.#closed) {
          void underlay.close();
          return;
        }
        this.#underlays.set(keyOf(local, port), underlay);
        change((_, now) => underlay.attach(agent.portOpened(port, underlay, now)));
      },
      (thrown: unknown) => {
        const { message } = this.#failed(thrown);
        change((_, now) => agent.portFailed(port, message, now));
      },
    );
  }

  unlisten(local: Ipv4Addr, port: number): void {
    const key = keyOf(local, port);
    void this.#underlays.get(key)?.close();
    this.#underlays.delete(key);
  }

  /** Opens a raw socket for IP protocol 4, if this process may; the agent is told how that went. */
  openRawIp(): void {
    const { agent, carriers, clock, change, arrived, onUncarried, local } = this.#options;
    import("../io/raw-ip.ts")
      .then(({ RawIp }) => {
        if (this.#closed) return;
        const raw = RawIp.open({ local, carriers, ctx: agent.stack, clock, wake: arrived, onUncarried });
        this.#raw = raw;
        change((_, now) => raw.attach(agent.rawIpOpened(raw, now)));
      })
      .catch((thrown: unknown) => {
        const message = withRemedy(thrown);
        change((_, now) => agent.rawIpFailed(message, now));
      });
  }

  /** Opens a raw socket for ICMP errors, if this process may; the agent is told how that went. */
  openRawIcmp(): void {
    const { agent, carriers, clock, change, local } = this.#options;
    import("../io/raw-icmp.ts")
      .then(({ RawIcmp }) => {
        if (this.#closed) return;
        const icmp = RawIcmp.open({ local, carriers, clock });
        this.#icmp = icmp;
        change((_, now) => icmp.attach(agent.rawIcmpOpened(now)));
      })
      .catch((thrown: unknown) => {
        const message = withRemedy(thrown);
        change((_, now) => agent.rawIcmpFailed(message, now));
      });
  }

  /** Drives the agent's speaker, once the one before has left its port. */
  startBgp(port: number): void {
    const { agent, carriers, clock, change } = this.#options;
    const { bgp } = agent;
    if (bgp === undefined) return;
    const node = new NodeBgp({
      bgp,
      port,
      carriers,
      clock,
      onOutput: (output) => change((_, now) => agent.onSpeakerOutput(output, now)),
    });
    this.#bgp = node;
    this.#bgpStopped
      .then(() => node.start())
      .catch((thrown: unknown) => {
        const { message } = this.#failed(thrown);
        change((_, now) => agent.bgpFailed(message, now));
      });
  }

  /** The speaker has been changed. */
  turnBgp(): void {
    this.#bgp?.turn();
  }

  stopBgp(silent: boolean): void {
    const bgp = this.#bgp;
    if (bgp === undefined) return;
    this.#bgp = undefined;
    this.#bgpStopped = this.#bgpStopped.then(() => bgp.stop(silent));
  }

  /** Resolves when no socket is left. Never rejects. */
  async close(): Promise<void> {
    this.#closed = true;
    this.stopBgp(false);
    await Promise.all([
      this.#bgpStopped,
      this.#raw?.close() ?? Promise.resolve(),
      this.#icmp?.close() ?? Promise.resolve(),
      ...[...this.#underlays.values()].map((underlay) => underlay.close()),
    ]);
  }

  #failed(thrown: unknown): PodloomError {
    if (!(thrown instanceof PodloomError)) throw thrown;
    this.#options.onFailure(thrown);
    return thrown;
  }
}

/** What an agent is told of a socket that cannot be had. Rethrows what nobody expects. */
function withRemedy(thrown: unknown): string {
  if (!(thrown instanceof PodloomError)) throw thrown;
  const { message, remedy } = thrown;
  return remedy === undefined ? message : `${message}. ${remedy}`;
}

function keyOf(local: Ipv4Addr, port: number): string {
  return `${formatIpv4(local)}:${port}`;
}
