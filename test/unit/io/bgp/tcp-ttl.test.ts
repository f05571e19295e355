// TTL security on real sockets. On one machine every hop is the first, so that whoever does not send with TTL 255 stands for somebody
// who is far away.
import { afterEach, describe, expect, test } from "vitest";
import { type Ipv4Addr, ipv4 } from "../../../../src/base/ipv4-addr.ts";
import { BgpDriver, type OtherOutput } from "../../../../src/io/bgp/bgp-driver.ts";
import { TcpTtl } from "../../../../src/io/bgp/tcp-ttl.ts";
import { MonotonicClock } from "../../../../src/io/clock.ts";
import { PodloomError } from "../../../../src/io/podloom-error.ts";
import { type PeerConfig, peerConfig } from "../../../../src/routing/bgp/session/peer-config.ts";
import { carry, PeersSpeaker, type SpeakerPeer, until } from "../../../support/bgp-engines.ts";

// Nodes that no other test has.
const A = ipv4("10.93.1.1");
const B = ipv4("10.93.1.2");
const nodes = new Map([A, B].map((addr) => [carry(addr), addr]));
const clock = new MonotonicClock();
const drivers: BgpDriver[] = [];

afterEach(async () => {
  await Promise.all(drivers.splice(0).map((driver) => driver.stop()));
});

function driverOf(
  addr: Ipv4Addr,
  speaker: PeersSpeaker,
  ttl: () => TcpTtl = TcpTtl.load,
): { driver: BgpDriver; said: OtherOutput[] } {
  const said: OtherOutput[] = [];
  const driver = new BgpDriver({
    speaker,
    ids: speaker.ids,
    clock,
    listen: [{ addr, port: 0 }],
    carry,
    uncarry: (host) => nodes.get(host),
    ttl,
    onOutput: (output) => said.push(output),
  });
  drivers.push(driver);
  return { driver, said };
}

function config(routerId: Ipv4Addr, passive: boolean): PeerConfig {
  const plain = peerConfig({ localAs: 64512, peerAs: 64512, routerId });
  return { ...plain, fsm: { ...plain.fsm, passive, connectRetrySec: 1, openHoldSec: 2 } };
}

/** B dials A. @param hops of each: what it lets its neighbour be away */
async function sessions(
  ofA: number | undefined,
  ofB: number | undefined,
): Promise<{ a: SpeakerPeer; b: SpeakerPeer; first: BgpDriver; second: BgpDriver }> {
  const [one, other] = [new PeersSpeaker(A), new PeersSpeaker(B)];
  const a = one.add(B, 0, config(A, true), undefined, ofA);
  const first = driverOf(A, one).driver;
  await first.start();
  const b = other.add(A, first.listening[0]?.port ?? 0, config(B, false), undefined, ofB);
  const second = driverOf(B, other).driver;
  await second.start();
  return { a, b, first, second };
}

const stateOf = ({ peer }: SpeakerPeer): string => peer.status().state;

/** Why TTLs cannot be set here, or undefined when they can. */
function unavailable(): string | undefined {
  try {
    TcpTtl.load();
    return undefined;
  } catch (thrown) {
    return String(thrown);
  }
}

const why = unavailable();

describe.skipIf(why !== undefined)(`TTL security${why === undefined ? "" : ` (${why})`}`, () => {
  test("of both brings a session up, whatever each lets the other be away", async () => {
    const { a, b } = await sessions(1, 254);
    await until("Established", () => [a, b].every((peer) => stateOf(peer) === "Established"));
  });

  test("of whoever is called: a caller without it is not heard", async () => {
    const { a, b, first } = await sessions(1, undefined);
    // The caller hears our OPEN, and answers in vain.
    await until("the call", () => stateOf(a) === "OpenSent");
    await until("the end of our patience", () => stateOf(a) === "Idle");
    expect(first.stats.accepted).toBeGreaterThan(0);
    expect(first.stats.rxBytes).toBe(0);
    expect([a, b].map(stateOf)).not.toContain("Established");
  });

  test("of whoever calls: nobody answers that does not send with TTL 255", async () => {
    const { b, first, second } = await sessions(undefined, 1);
    await until("a second attempt", () => second.stats.dialled === 2);
    expect([first.stats.accepted, second.stats.rxBytes]).toEqual([0, 0]);
    expect(stateOf(b)).not.toBe("Established");
  });
});

test("where TTLs cannot be set, a speaker that is to check them does not start", async () => {
  const speaker = new PeersSpeaker(A);
  speaker.add(B, 1790, config(A, false), undefined, 1);
  const { driver } = driverOf(A, speaker, () => {
    throw new PodloomError("PL_BGP_TTL", "no koffi", { remedy: "Install it." });
  });
  await expect(driver.start()).rejects.toMatchObject({ code: "PL_BGP_TTL" });
  expect([driver.listening, driver.stats.dialled]).toEqual([[], 0]);
});
