import fc from "fast-check";
import { expect, test } from "vitest";
import { ipv4 } from "../../../src/base/ipv4-addr.ts";
import { MAC_BROADCAST } from "../../../src/base/mac-addr.ts";
import { NEVER, SEC_US } from "../../../src/base/time.ts";
import { inTimer, isValid, type NudEvent, newNud, step } from "../../../src/stack/neighbor/nud.ts";
import { CLEAN, ME, MY_MAC, OneHost } from "../../support/one-host.ts";

const PARMS = {
  reachableUs: 20 * SEC_US,
  baseReachableUs: 30 * SEC_US,
  delayFirstProbeUs: 5 * SEC_US,
  retransUs: SEC_US,
  mcastSolicit: 3,
  ucastSolicit: 3,
};

const event: fc.Arbitrary<NudEvent> = fc.oneof(
  fc.constant<NudEvent>({ t: "send" }),
  fc.record({
    t: fc.constant("update" as const),
    state: fc.constantFrom("REACHABLE", "STALE", "STALE", "REACHABLE", "PERMANENT", "NOARP", "FAILED"),
    mac: fc.constantFrom(1, 2, undefined),
    override: fc.boolean(),
    admin: fc.boolean(),
  }),
);

test("an entry has an address exactly in the states that say so, and a timer exactly in those that wait", () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(event, fc.nat(40 * SEC_US)), { maxLength: 30 }), (events) => {
      const entry = { nud: newNud(0, PARMS), timer: NEVER, waiting: 0 };
      let now = 0;
      const apply = (e: NudEvent) => {
        const next = step(entry.nud, e, now, PARMS);
        entry.nud = next.state;
        const { state, mac, probes } = next.state;
        if (e.t === "send" && state === "INCOMPLETE") entry.waiting++;
        if (e.t === "timer") entry.timer = NEVER;
        for (const action of next.actions) {
          if (action.t === "setTimer") entry.timer = action.at;
          if (action.t === "clearTimer") entry.timer = NEVER;
          if (action.t === "sendQueue" || action.t === "failQueue") entry.waiting = 0;
          if (action.t === "solicit") expect(inTimer(state)).toBe(true);
        }
        expect(mac !== undefined).toBe(isValid(state));
        expect(entry.timer !== NEVER).toBe(inTimer(state));
        expect(entry.timer).toBeGreaterThan(now);
        expect(probes).toBeLessThanOrEqual(6);
        // Nothing waits for ever: whoever has no address and is not asking has reported what waited.
        if (state !== "INCOMPLETE") expect(entry.waiting).toBe(0);
      };
      for (const [e, us] of events) {
        const until = now + us;
        while (entry.timer <= until) {
          now = entry.timer;
          apply({ t: "timer" });
        }
        now = until;
        apply(e);
      }
      // Left alone, every entry comes to rest.
      for (let i = 0; entry.timer !== NEVER; i++) {
        expect(i).toBeLessThan(12);
        now = entry.timer;
        apply({ t: "timer" });
      }
    }),
    { numRuns: 500 },
  );
});

const host = fc.nat(5).map((i) => ipv4("10.0.0.2") + i);
const action = fc.oneof(
  { weight: 6, arbitrary: fc.record({ t: fc.constant("output" as const), host, x: fc.nat(200) }) },
  { weight: 4, arbitrary: fc.record({ t: fc.constant("arp" as const), host, x: fc.nat(15) }) },
  { weight: 4, arbitrary: fc.record({ t: fc.constant("advance" as const), host, x: fc.nat(9_000_000) }) },
  {
    weight: 1,
    arbitrary: fc.record({ t: fc.constantFrom("permanent", "del", "down", "up", "mac"), host, x: fc.nat(3) }),
  },
);

test("every packet goes out once, waits, or is counted as dropped; afterwards nothing is left", () => {
  fc.assert(
    fc.property(fc.array(action, { maxLength: 60 }), fc.nat(1000), (actions, seed) => {
      const h = new OneHost(seed);
      let given = 0;
      let sent = 0;
      const count = () => {
        sent += h.sent().filter((line) => line.includes(", IP ")).length;
      };
      for (const { t, host: ip, x } of actions) {
        if (t === "output") {
          h.output(ip, x);
          given++;
        } else if (t === "arp") {
          const op = (x & 1) === 0 ? "reply" : "request";
          const dst = (x & 2) === 0 ? MY_MAC : MAC_BROADCAST;
          const tip = (x & 4) === 0 ? ME : ip;
          h.receiveArp({ op, sha: 0x0200_0000_0010 + (x >> 3), sip: ip, tip, dst });
        } else if (t === "advance") h.advance(x);
        else if (t === "permanent")
          h.netns.neigh.replace({ dev: h.eth0, ip, mac: 5, state: "PERMANENT" }, h.now);
        else if (t === "del") h.netns.neigh.del(h.eth0, ip, h.now);
        else if (t === "mac") h.eth0.mac = MY_MAC + x * 0x100;
        else h.netns.setLink(h.eth0, t === "up", h.now);
        count();
        // The unresolvable ones are reported to ourselves by ICMP, which takes packets of its own for a moment.
        const waiting = h.netns.neigh.dump("all").reduce((n, e) => n + (e.queue?.size ?? 0), 0);
        expect(h.pool.outstanding - h.netns.backlog.size).toBe(waiting);
      }
      const waiting = h.netns.neigh.dump("all").reduce((n, e) => n + (e.queue?.size ?? 0), 0);
      const lost = h.netns.lo.stats.txPackets;
      expect(sent + waiting + h.stack.drops.total).toBeGreaterThanOrEqual(given);
      expect(sent + waiting).toBeLessThanOrEqual(given);
      expect(lost).toBeLessThanOrEqual(given);
      expect(h.end()).toEqual(CLEAN);
    }),
    { numRuns: 150 },
  );
});
