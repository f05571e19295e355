// Packets from somebody who knows the discriminators, in any order and at any time: no session dies of them, asks for the impossible or
// sends more than it is asked.
import fc from "fast-check";
import { expect, test } from "vitest";
import { ipv4 } from "../../../../src/base/ipv4-addr.ts";
import { SeededRng } from "../../../../src/base/rng.ts";
import { SEC_US } from "../../../../src/base/time.ts";
import { BfdTable } from "../../../../src/routing/bfd/bfd-table.ts";
import { packetOf, TIMERS } from "../../../support/bfd.ts";

const LOCAL = ipv4("10.0.0.1");
const REMOTE = ipv4("10.0.0.2");
const u32 = fc.oneof(fc.constantFrom(0, 1, 0xffff_ffff), fc.integer({ min: 0, max: 0xffff_ffff }));

const packet = fc.record({
  diag: fc.nat(31),
  second: fc.nat(255),
  mult: fc.nat(255),
  mine: u32,
  yours: fc.constantFrom("known", "none"),
  tx: u32,
  rx: u32,
  waitUs: fc.oneof(fc.constant(0), fc.nat(3 * SEC_US)),
});

test("whatever a neighbour says", () => {
  fc.assert(
    fc.property(fc.array(packet, { maxLength: 60 }), fc.nat(), (packets, seed) => {
      const table = new BfdTable(new SeededRng(seed));
      let now = SEC_US;
      const drain = (): number => {
        let sent = 0;
        for (let out = table.poll(); out !== undefined; out = table.poll()) {
          if (out.t !== "send") continue;
          sent++;
          const { state, desiredMinTxUs, poll, final } = packetOf(out.bytes);
          expect(poll && final).toBe(false);
          expect(desiredMinTxUs).toBe(state === "Up" ? TIMERS.desiredMinTxUs : SEC_US);
        }
        return sent;
      };
      table.add({ remote: REMOTE, local: LOCAL, timers: TIMERS }, now);
      drain();
      for (const { diag, second, mult, mine, yours, tx, rx, waitUs } of packets) {
        const bytes = new Uint8Array(24);
        const view = new DataView(bytes.buffer);
        bytes.set([0x20 | diag, second, mult, 24]);
        const known = table.status(REMOTE)?.localDiscriminator ?? 0;
        [mine, yours === "known" ? known : 0, tx, rx].forEach((word, i) => {
          view.setUint32(4 + 4 * i, word);
        });
        table.handle({ t: "received", from: REMOTE, bytes, ttl: 255 }, now);
        expect(drain()).toBeLessThanOrEqual(2);
        const until = now + waitUs;
        let ticks = 0;
        for (; table.nextDeadline() <= until; ticks++) {
          now = Math.max(now, table.nextDeadline());
          table.handle({ t: "tick" }, now);
          expect(drain()).toBeLessThanOrEqual(1);
        }
        // Never faster than configured, jitter and a few timers that turned out early included.
        expect(ticks).toBeLessThanOrEqual(6 + waitUs / (0.5 * TIMERS.desiredMinTxUs));
        now = until;
      }
    }),
    { numRuns: 300 },
  );
});
