import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Ipv4Addr, ipv4 } from "../../src/base/ipv4-addr.ts";
import { BgpDriver } from "../../src/io/bgp/bgp-driver.ts";
import { SessionCapture } from "../../src/io/bgp/session-capture.ts";
import { MonotonicClock } from "../../src/io/clock.ts";
import { peerConfig } from "../../src/routing/bgp/session/peer-config.ts";
import { update } from "../support/bgp.ts";
import { carry, PeersSpeaker, type SpeakerPeer, until } from "../support/bgp-engines.ts";
import { commandUnavailable } from "../support/command.ts";

// What Wireshark makes of a capture of two speakers' session: one is ours to look at, each side of the connection in turn.

const A = ipv4("10.94.1.1");
const B = ipv4("10.94.1.2");
const nodes = new Map([A, B].map((addr) => [carry(addr), addr]));
const clock = new MonotonicClock();
const unavailable = commandUnavailable("tshark");
/** UPDATEs of about 4,000 octets: a table that fills many segments. */
const TABLE_UPDATES = 200;

const PREFIXES = 790;

/** ORIGIN, an empty AS_PATH, NEXT_HOP 10.94.1.2, LOCAL_PREF 100, and host routes to 11.0.0.0/8. */
function tableUpdate(i: number): Uint8Array {
  const attributes = "40010100 400200 4003040a5e0102 40050400000064";
  const nlri = Array.from({ length: PREFIXES }, (_, j) => {
    return `200b${(i * PREFIXES + j).toString(16).padStart(6, "0")}`;
  });
  return update({ attributes, nlri: nlri.join("") });
}

describe.skipIf(unavailable !== undefined)(`a capture of BGP sessions${unavailable ?? ""}`, () => {
  const folder = mkdtempSync(join(tmpdir(), "podloom-bgp-capture-"));
  const files = { caller: join(folder, "caller.pcapng"), called: join(folder, "called.pcapng") };
  let ofB: SpeakerPeer;

  const tshark = (file: string, ...args: string[]): string[] =>
    execFileSync(
      "tshark",
      ["-r", file, "-o", "ip.check_checksum:TRUE", "-o", "tcp.check_checksum:TRUE", ...args],
      { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"], maxBuffer: 64 * 1024 * 1024 },
    )
      .split("\n")
      .filter((line) => line !== "");

  beforeAll(async () => {
    const start = async (addr: Ipv4Addr, speaker: PeersSpeaker, path: string): Promise<BgpDriver> => {
      const driver = new BgpDriver({
        speaker,
        ids: speaker.ids,
        clock,
        listen: [{ addr, port: 0 }],
        carry,
        uncarry: (host) => nodes.get(host),
        capture: SessionCapture.open({ path, clock, name: "node" }),
        onOutput: () => {},
      });
      await driver.start();
      return driver;
    };
    const config = (routerId: Ipv4Addr, passive: boolean) => {
      const plain = peerConfig({ localAs: 64512, peerAs: 64512, routerId });
      return { ...plain, fsm: { ...plain.fsm, passive } };
    };
    const [a, b] = [new PeersSpeaker(A), new PeersSpeaker(B)];
    const ofA = a.add(B, 0, config(A, true));
    const called = await start(A, a, files.called);
    ofB = b.add(A, called.listening[0]?.port ?? 0, config(B, false));
    const caller = await start(B, b, files.caller);
    await until("Established", () => [ofA, ofB].every(({ peer }) => peer.status().state === "Established"));
    for (let i = 0; i < TABLE_UPDATES; ) {
      if (caller.change((now) => ofB.peer.transmit(tableUpdate(i), now))) i++;
      else await new Promise((resolve) => setImmediate(resolve));
    }
    const updates = (): number => ofA.outputs.filter(({ t }) => t === "update").length;
    await until("the table", () => updates() === TABLE_UPDATES);
    await caller.stop({ text: "the end" });
    await called.stop();
  });

  afterAll(() => {
    rmSync(folder, { recursive: true });
  });

  test.each(["caller", "called"] as const)("by the %s decodes without a complaint", (side) => {
    const complaints = tshark(
      files[side],
      "-Y",
      "_ws.malformed || tcp.analysis.flags || tcp.checksum.status != 1 || ip.checksum.status != 1 || _ws.expert.severity >= 6291456",
      "-V",
    );
    expect(complaints).toEqual([]);
  });

  test.each(["caller", "called"] as const)("by the %s has every message, by the nodes' addresses", (side) => {
    const rows = tshark(
      files[side],
      "-Y",
      "bgp",
      ...["-T", "fields", "-E", "occurrence=a", "-e", "ip.src", "-e", "ip.dst", "-e", "bgp.type"],
    );
    const types = { [`10.94.1.1`]: [0, 0, 0, 0, 0, 0], [`10.94.1.2`]: [0, 0, 0, 0, 0, 0] };
    for (const row of rows) {
      const [src, dst, list] = row.split("\t");
      expect(`${src} ${dst}`).toMatch(/^10\.94\.1\.1 10\.94\.1\.2$|^10\.94\.1\.2 10\.94\.1\.1$/);
      const counts = types[src as keyof typeof types];
      for (const type of (list ?? "").split(",")) counts[Number(type)] = (counts[Number(type)] ?? 0) + 1;
    }
    const { counters } = ofB.peer.status();
    expect(types).toEqual({ "10.94.1.1": counters.messagesIn, "10.94.1.2": counters.messagesOut });
    expect(counters.messagesOut.slice(1, 4)).toEqual([1, TABLE_UPDATES, 1]);
  });

  test("shows what was said", () => {
    const open = tshark(files.caller, "-Y", "bgp.type == 1 && ip.src == 10.94.1.2", "-V").join("\n");
    expect(open).toMatch(/My AS: 64512/);
    expect(open).toMatch(/BGP Identifier: 10\.94\.1\.2/);
    expect(open).toMatch(/Dst Port: 179/);
    const end = tshark(files.called, "-Y", "bgp.type == 3", "-V").join("\n");
    expect(end).toMatch(/Major error Code: Cease \(6\)/);
    expect(end).toMatch(/the end/);
    const routes = tshark(files.called, "-Y", "bgp.type == 2", "-T", "fields", "-e", "bgp.nlri_prefix");
    const prefixes = routes.flatMap((row) => row.split(","));
    expect(prefixes).toHaveLength(TABLE_UPDATES * PREFIXES);
    expect(prefixes.slice(0, 2)).toEqual(["11.0.0.0", "11.0.0.1"]);
  });

  test("shows how the connection began and ended, each end once", () => {
    const flags = tshark(
      files.caller,
      "-T",
      "fields",
      "-e",
      "tcp.flags",
      "-Y",
      "tcp.flags.syn == 1 || tcp.flags.fin == 1 || tcp.flags.reset == 1",
    );
    expect(flags).toEqual(["0x0002", "0x0012", "0x0011", "0x0011"]);
  });
});
