// When history is forgotten by itself. Pure logic: `now` is an argument.
import { type Instant, NEVER, SEC_US } from "../../base/time.ts";

/** Revisions beyond the retention before the next compaction by revision, so that it comes in small steps. */
const STEP = 1000;

/** How often the present revision is noted, at the least, in compaction by time: etcd's tenth of an hour. */
const SAMPLE_US_MAX = 360 * SEC_US;
const SAMPLES_PER_PERIOD = 10;

/** What `--auto-compaction-mode` and `--auto-compaction-retention` say. */
export type Retention =
  | { readonly mode: "off" }
  /** Keep so many revisions. */
  | { readonly mode: "revision"; readonly revisions: number }
  /** Keep the history of so long a time. */
  | { readonly mode: "periodic"; readonly periodUs: number };

interface Sample {
  readonly at: Instant;
  readonly revision: number;
}

export class AutoCompactor {
  readonly #retention: Retention;
  readonly #sampleUs: number;
  /** What the revision was, once a sample time; the oldest in front. */
  #samples: Sample[] = [];

  constructor(retention: Retention, now: Instant) {
    this.#retention = retention;
    const periodUs = retention.mode === "periodic" ? retention.periodUs : 0;
    this.#sampleUs = Math.max(1, Math.min(periodUs / SAMPLES_PER_PERIOD, SAMPLE_US_MAX));
    if (retention.mode === "periodic") this.#samples.push({ at: now, revision: 0 });
  }

  /** After a commit: the revision to compact to, if it is time. */
  committed(revision: number, compacted: number): number | undefined {
    if (this.#retention.mode !== "revision") return undefined;
    const target = revision - this.#retention.revisions;
    return target - compacted > STEP ? target : undefined;
  }

  /** Every now and then: the revision to compact to, if it is time. */
  tick(now: Instant, revision: number, compacted: number): number | undefined {
    if (this.#retention.mode !== "periodic") return undefined;
    if (now < this.nextDeadline()) return undefined;
    this.#samples.push({ at: now, revision });
    const horizon = now - this.#retention.periodUs;
    let target: number | undefined;
    while ((this.#samples[0]?.at ?? NEVER) <= horizon) target = (this.#samples.shift() as Sample).revision;
    // 0 is what was before the first start; whoever compacted by hand may be ahead of us.
    return target !== undefined && target > Math.max(compacted, 1) ? target : undefined;
  }

  nextDeadline(): Instant {
    const last = this.#samples.at(-1);
    return last === undefined ? NEVER : last.at + this.#sampleUs;
  }
}
