import { createServer } from "node:net";
import { vi } from "vitest";
import type { SpeakerConfig } from "../../src/routing/bgp/speaker/speaker-config.ts";
import { Bird } from "./bird.ts";
import { host, LiveSpeaker } from "./live-speaker.ts";
import { TcpGate } from "./tcp-gate.ts";

/** Long, since BIRD 2.0.12 may sleep a second over anything, and the machine may be busy. */
const PATIENCE = { timeout: 20_000, interval: 25 };

/** Waits until `check` does not throw, and answers what it answers. */
export async function eventually<T>(check: () => T | Promise<T>, timeoutMs = PATIENCE.timeout): Promise<T> {
  return vi.waitFor(check, { ...PATIENCE, timeout: timeoutMs });
}

/** The speakers and daemons of one test, all ended by {@link close}. */
export class BirdLab {
  readonly #live: LiveSpeaker[] = [];
  readonly #birds: Bird[] = [];
  readonly #gates: TcpGate[] = [];

  async speaker(addr: string, as: number, given: Partial<SpeakerConfig> = {}): Promise<LiveSpeaker> {
    const live = await LiveSpeaker.start(addr, as, given);
    this.#live.push(live);
    return live;
  }

  /** @param config the text behind the preamble */
  async bird(routerId: string, config: string): Promise<Bird> {
    const bird = await Bird.start(routerId, config);
    this.#birds.push(bird);
    return bird;
  }

  /** A gate on the way from one node's address to another's. */
  async gate(from: string, to: string, port: number): Promise<TcpGate> {
    const target = { host: host(to), port, from: host(from) };
    const gate = await TcpGate.listen(host(to), target);
    this.#gates.push(gate);
    return gate;
  }

  /** A port for BIRD, which nobody uses now. */
  async port(addr: string): Promise<number> {
    const server = createServer();
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen({ host: host(addr), port: 0 }, resolve);
    });
    const { port } = server.address() as { port: number };
    await new Promise((resolve) => server.close(resolve));
    return port;
  }

  async close(): Promise<void> {
    await Promise.all(this.#birds.splice(0).map((bird) => bird.close()));
    await Promise.all(this.#gates.splice(0).map((gate) => gate.close()));
    await Promise.all(this.#live.splice(0).map((live) => live.stop({ silent: true })));
  }
}
