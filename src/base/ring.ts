import { assert } from "./assert.ts";

/** A bounded first-in first-out queue without allocation per element. Every queue in podloom is one of these. */
export class Ring<T> {
  readonly capacity: number;
  readonly #slots: (T | undefined)[];
  #first = 0;
  #size = 0;

  constructor(capacity: number) {
    assert(Number.isInteger(capacity) && capacity > 0, "a ring's capacity is a positive integer");
    this.capacity = capacity;
    this.#slots = Array.from({ length: capacity });
  }

  get size(): number {
    return this.#size;
  }

  /** Appends; false when full, and then the caller still owns `item`. */
  push(item: T): boolean {
    if (this.#size === this.capacity) return false;
    let at = this.#first + this.#size;
    if (at >= this.capacity) at -= this.capacity;
    this.#slots[at] = item;
    this.#size++;
    return true;
  }

  /** Takes the oldest, or undefined when empty. */
  shift(): T | undefined {
    if (this.#size === 0) return undefined;
    const item = this.#slots[this.#first];
    this.#slots[this.#first] = undefined;
    this.#first = this.#first + 1 === this.capacity ? 0 : this.#first + 1;
    this.#size--;
    return item;
  }

  /** The oldest without taking it. */
  peek(): T | undefined {
    return this.#size === 0 ? undefined : this.#slots[this.#first];
  }
}
