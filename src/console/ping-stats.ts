/** What ping counts, and the lines that it ends with. */
export class PingStats {
  transmitted = 0;
  received = 0;
  duplicates = 0;
  errors = 0;
  rttMinUs = Number.POSITIVE_INFINITY;
  rttMaxUs = 0;
  #rttSumUs = 0;
  #rttSquaresUs = 0;
  #timed = false;
  /** Smoothed round trip, in eighths of a microsecond. */
  #ewma = 0;
  /** Most requests that were on their way at once. */
  #pipe = 0;
  #acknowledged = 0;
  readonly #answered = new Uint8Array(0x10000 / 8);

  /** Requests that nothing has come back for. */
  get inFlight(): number {
    const ahead = (this.transmitted - this.#acknowledged) & 0xffff;
    return ahead <= 0x7fff ? ahead : this.transmitted - this.received - this.errors;
  }

  /** Counts one more request; answers its sequence number. */
  transmit(): number {
    const seq = ++this.transmitted & 0xffff;
    this.#answered[seq >> 3] = (this.#answered[seq >> 3] as number) & ~(1 << (seq & 7));
    return seq;
  }

  isAnswered(seq: number): boolean {
    const index = seq & 0xffff;
    return ((this.#answered[index >> 3] as number) & (1 << (index & 7))) !== 0;
  }

  /** Something came back about request `seq`. */
  acknowledge(seq: number): void {
    const behind = (this.transmitted - seq) & 0xffff;
    if (behind > 0x7fff) return;
    this.#pipe = Math.max(this.#pipe, behind + 1);
    const ahead = (seq - this.#acknowledged) & 0xffff;
    if (ahead > 0 && ahead <= 0x7fff) this.#acknowledged = seq;
  }

  /** Counts a reply. False when it is a duplicate. @param rttUs undefined when it carried no time stamp */
  receive(seq: number, rttUs: number | undefined): boolean {
    this.acknowledge(seq);
    if (rttUs !== undefined) {
      this.#ewma = this.#timed ? this.#ewma + rttUs - this.#ewma / 8 : rttUs * 8;
      this.#timed = true;
      this.#rttSumUs += rttUs;
      this.#rttSquaresUs += rttUs * rttUs;
      this.rttMinUs = Math.min(this.rttMinUs, rttUs);
      this.rttMaxUs = Math.max(this.rttMaxUs, rttUs);
    }
    if (this.isAnswered(seq)) {
      this.duplicates++;
      return false;
    }
    this.received++;
    this.#answered[seq >> 3] = (this.#answered[seq >> 3] as number) | (1 << (seq & 7));
    return true;
  }

  /** The two lines of the summary. @param elapsedUs from the first request to the last */
  format(elapsedUs: number, intervalMs: number): string {
    let text = `${this.transmitted} packets transmitted, ${this.received} received`;
    if (this.duplicates > 0) text += `, +${this.duplicates} duplicates`;
    if (this.errors > 0) text += `, +${this.errors} errors`;
    if (this.transmitted > 0) {
      const loss = ((this.transmitted - this.received) * 100) / this.transmitted;
      text += `, ${formatG(loss)}% packet loss, time ${Math.floor((elapsedUs + 500) / 1000)}ms`;
    }
    return `${text}\n${this.#times(elapsedUs, intervalMs)}`;
  }

  #times(elapsedUs: number, intervalMs: number): string {
    const parts: string[] = [];
    if (this.received > 0 && this.#timed) {
      const total = this.received + this.duplicates;
      const mean = Math.floor(this.#rttSumUs / total);
      const squared = Math.floor((this.#rttSumUs * this.#rttSumUs) / total);
      const deviation = Math.floor(
        Math.sqrt(Math.max(0, Math.floor((this.#rttSquaresUs - squared) / total))),
      );
      const figures = [this.rttMinUs, mean, this.rttMaxUs, deviation].map(formatMs).join("/");
      parts.push(`rtt min/avg/max/mdev = ${figures} ms`);
    }
    if (this.#pipe > 1) parts.push(`pipe ${this.#pipe}`);
    if (this.received > 0 && intervalMs === 0 && this.transmitted > 1) {
      const gap = Math.floor(elapsedUs / (this.transmitted - 1));
      parts.push(`ipg/ewma ${formatMs(gap)}/${formatMs(Math.floor(this.#ewma / 8))} ms`);
    }
    return parts.join(", ");
  }
}

function formatMs(us: number): string {
  return `${Math.floor(us / 1000)}.${String(us % 1000).padStart(3, "0")}`;
}

/** C's `%g` for 0..100. */
function formatG(value: number): string {
  return String(Number(Math.fround(value).toPrecision(6)));
}
