import type { Instant } from "../../base/time.ts";
import type { BirdcSpeaker } from "../../console/birdc/birdc-speaker.ts";
import { PodloomError } from "../../io/podloom-error.ts";
import type { RibPrefix } from "../../routing/bgp/rib/route.ts";
import type { BgpPeerRow, BgpRouteRow } from "../../routing/bgp/speaker/inspect.ts";
import type { Neighbor } from "../../routing/bgp/speaker/neighbor.ts";
import type { BgpSpeaker } from "../../routing/bgp/speaker/speaker.ts";
import type { ReloadReport, SpeakerStatus } from "../../routing/bgp/speaker/speaker-status.ts";
import type { SpeakerQueries } from "./queries.ts";

/** Whoever has a speaker: a process of its own, or a node. */
export interface SpeakerOwner {
  readonly queries: SpeakerQueries;
  status(): SpeakerStatus;
  /** Lets `act` change the speaker, then carries out what follows. */
  change(act: (speaker: BgpSpeaker, now: Instant) => void): void;
  /** @throws PodloomError with what is wrong with the file, or that there is none */
  reload(checkOnly: boolean): Promise<ReloadReport>;
}

/** A speaker as birdc sees it. */
export class BirdcAccess implements BirdcSpeaker {
  readonly #process: SpeakerOwner;

  constructor(process: SpeakerOwner) {
    this.#process = process;
  }

  status(): SpeakerStatus {
    return this.#process.status();
  }

  now(): number {
    return Date.now();
  }

  utcOffsetMin(atMs: number): number {
    return -new Date(atMs).getTimezoneOffset();
  }

  peers(): readonly BgpPeerRow[] {
    return this.#process.queries.peers();
  }

  routes(only?: RibPrefix, longest?: boolean): Iterable<BgpRouteRow> {
    return this.#process.queries.routes(only, longest);
  }

  ribOut(name: string): Iterable<BgpRouteRow> {
    const neighbor = this.#process.queries.lookup(name);
    return neighbor === undefined ? [] : this.#process.queries.ribOut(neighbor);
  }

  shutdown(name: string, text?: string): boolean {
    return this.#command(name, (speaker, neighbor, now) => speaker.shutdown(neighbor, text, now));
  }

  enable(name: string): boolean {
    return this.#command(name, (speaker, neighbor, now) => speaker.enable(neighbor, now));
  }

  reset(name: string, text?: string): boolean {
    return this.#command(name, (speaker, neighbor, now) => speaker.reset(neighbor, text, now));
  }

  refreshIn(name: string): boolean {
    return this.#command(name, (speaker, neighbor, now) => speaker.refreshIn(neighbor, now));
  }

  refreshOut(name: string): boolean {
    return this.#command(name, (speaker, neighbor, now) => speaker.refreshOut(neighbor, now));
  }

  async configure(checkOnly: boolean): Promise<ReloadReport | string> {
    try {
      return await this.#process.reload(checkOnly);
    } catch (thrown) {
      if (!(thrown instanceof PodloomError)) throw thrown;
      const { message, remedy } = thrown;
      return remedy === undefined ? message : `${message}\n  ${remedy}`;
    }
  }

  #command(name: string, act: (speaker: BgpSpeaker, neighbor: Neighbor, now: Instant) => void): boolean {
    const neighbor = this.#process.queries.lookup(name);
    if (neighbor === undefined) return false;
    this.#process.change((speaker, now) => act(speaker, neighbor, now));
    return true;
  }
}
