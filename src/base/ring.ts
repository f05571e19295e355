import { assert } from "./assert.ts";

const SLOTS_MIN = 16;

/**
 * A bounded first-in first-out queue. It takes memory for what it has held at most, not for its capacity, and in steady
 * state a push allocates nothing. Every queue in podloom is one of these.
 */
export class Ring<T> {
  readonly capacity: number;
  /** Doubles when it is full, up to the capacity. */
  #slots: (T | undefined)[];
  #first = 0;
  #size = 0;

  constructor(capacity: number) {
    assert(Number.isInteger(capacity) && capacity > 0, "a ring's capacity is a positive integer");
    this.capacity = capacity;
    this.#slots = Array.from({ length: Math.min(SLOTS_MIN, capacity) });
  }

  get size(): number {
    return this.#size;
  }

  /** Appends; false when full, and then the caller still owns `item`. */
  push(item: T): boolean {
    if (this.#size === this.capacity) return false;
    if (this.#size === this.#slots.length) this.#grow();
    let at = this.#first + this.#size;
    if (at >= this.#slots.length) at -= this.#slots.length;
    this.#slots[at] = item;
    this.#size++;
    return true;
  }

  /** Takes the oldest, or undefined when empty. */
  shift(): T | undefined {
    if (this.#size === 0) return undefined;
    const item = this.#slots[this.#first];
    this.#slots[this.#first] = undefined;
    this.#first = this.#first + 1 === this.#slots.length ? 0 : this.#first + 1;
    this.#size--;
    return item;
  }

  /** The oldest without taking it. */
  peek(): T | undefined {
    return this.#size === 0 ? undefined : this.#slots[this.#first];
  }

  #grow(): void {
    const old = this.#slots;
    this.#slots = Array.from({ length: Math.min(2 * old.length, this.capacity) });
    for (let i = 0; i < this.#size; i++) this.#slots[i] = old[(this.#first + i) % old.length];
    this.#first = 0;
  }
}
