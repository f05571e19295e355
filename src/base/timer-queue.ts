import { type Instant, NEVER } from "./time.ts";

/** One thing that may become due. Belongs to one queue at a time; re-arming moves it. */
export class Timer {
  readonly fire: (now: Instant) => void;
  /** When it is due; NEVER while it is not armed. Read only. */
  at: Instant = NEVER;
  /** Position in the heap, -1 while not armed. Private to the queue. */
  slot = -1;
  /** Order of arming, so that equal deadlines fire in the order they were set. Private to the queue. */
  seq = 0;

  constructor(fire: (now: Instant) => void) {
    this.fire = fire;
  }
}

/** All deadlines of one engine: a binary heap, deterministic for equal deadlines. */
export class TimerQueue {
  readonly #heap: Timer[] = [];
  #seq = 0;

  get size(): number {
    return this.#heap.length;
  }

  nextDeadline(): Instant {
    const first = this.#heap[0];
    return first === undefined ? NEVER : first.at;
  }

  /** Arms `timer` for `at`; an armed timer is moved. */
  set(timer: Timer, at: Instant): void {
    this.cancel(timer);
    if (at === NEVER) return;
    timer.at = at;
    timer.seq = this.#seq++;
    timer.slot = this.#heap.length;
    this.#heap.push(timer);
    this.#up(timer.slot);
  }

  cancel(timer: Timer): void {
    const slot = timer.slot;
    if (slot < 0) return;
    const last = this.#heap.pop() as Timer;
    timer.slot = -1;
    timer.at = NEVER;
    if (last === timer) return;
    this.#heap[slot] = last;
    last.slot = slot;
    this.#up(slot);
    this.#down(last.slot);
  }

  /** Fires what is due, at most `budget` timers. Returns how many fired. */
  run(now: Instant, budget = 1024): number {
    let fired = 0;
    while (fired < budget) {
      const first = this.#heap[0];
      if (first === undefined || first.at > now) break;
      this.cancel(first);
      first.fire(now);
      fired++;
    }
    return fired;
  }

  #before(a: Timer, b: Timer): boolean {
    return a.at < b.at || (a.at === b.at && a.seq < b.seq);
  }

  #swap(i: number, j: number): void {
    const a = this.#heap[i] as Timer;
    const b = this.#heap[j] as Timer;
    this.#heap[i] = b;
    this.#heap[j] = a;
    b.slot = i;
    a.slot = j;
  }

  #up(start: number): void {
    let i = start;
    while (i > 0) {
      const parent = (i - 1) >> 1;
      if (!this.#before(this.#heap[i] as Timer, this.#heap[parent] as Timer)) return;
      this.#swap(i, parent);
      i = parent;
    }
  }

  #down(start: number): void {
    let i = start;
    for (;;) {
      const left = 2 * i + 1;
      if (left >= this.#heap.length) return;
      const right = left + 1;
      const child =
        right < this.#heap.length && this.#before(this.#heap[right] as Timer, this.#heap[left] as Timer)
          ? right
          : left;
      if (!this.#before(this.#heap[child] as Timer, this.#heap[i] as Timer)) return;
      this.#swap(i, child);
      i = child;
    }
  }
}
