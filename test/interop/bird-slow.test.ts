// A neighbour that does not read: what it misses costs one place a prefix, and when it reads again it has all that is true then.
import { afterEach, describe, expect, test } from "vitest";
import type { Bird } from "../support/bird.ts";
import { BirdLab, eventually } from "../support/bird-lab.ts";
import { commandUnavailable } from "../support/command.ts";
import { host, type LiveSpeaker } from "../support/live-speaker.ts";

const unavailable = commandUnavailable("bird");
const [OURS, BIRD, QUICK] = ["10.93.1.1", "10.93.1.2", "10.93.1.3"] as const;
const ROUTES = 10_000;
const [ROUNDS_MIN, ROUNDS_MAX] = [3, 60] as const;
const lab = new BirdLab();
afterEach(() => lab.close());

const prefixOf = (i: number): string => `20.${i >> 8}.${i & 0xff}.0/24`;

/** Announces all anew, each with attributes of its own, until the slow one's socket takes no more. Answers the last round. */
async function flood(ours: LiveSpeaker): Promise<number> {
  for (let round = 1; round <= ROUNDS_MAX; round++) {
    const before = ours.peer(QUICK)?.messagesOut["UPDATE"] ?? 0;
    ours.announceAll(Array.from({ length: ROUTES }, (_, i) => [prefixOf(i), { med: round * ROUTES + i }]));
    // The quick one does not wait for the slow one.
    await eventually(() => {
      const row = ours.peer(QUICK);
      expect(row?.messagesOut["UPDATE"]).toBeGreaterThanOrEqual(before + ROUTES);
      expect(row?.prefixesQueued).toBe(0);
    });
    if ((ours.peer(BIRD)?.prefixesQueued ?? 0) > 0 && round >= ROUNDS_MIN) return round;
  }
  throw new Error(`${ROUNDS_MAX * ROUTES} UPDATEs have not filled a socket`);
}

async function world(): Promise<{ ours: LiveSpeaker; slow: Bird; quick: Bird }> {
  const [port, quickPort] = [await lab.port(BIRD), await lab.port(QUICK)];
  const config = (addr: string, at: number): string => `
protocol bgp ours from quick {
  local ${host(addr)} port ${at} as 64512; neighbor ${host(OURS)} as 64512; passive;
  ipv4 { igp table underlay; import all; export none; };
}
`;
  const slow = await lab.bird(BIRD, config(BIRD, port));
  const quick = await lab.bird(QUICK, config(QUICK, quickPort));
  const ours = await lab.speaker(OURS, 64512);
  ours.join(BIRD, { as: 64512, port });
  ours.join(QUICK, { as: 64512, port: quickPort });
  await eventually(() => expect([ours.established(BIRD), ours.established(QUICK)]).toEqual([true, true]));
  return { ours, slow, quick };
}

/** The table of the last round, as `bird` has it: how many, and what is wrong. */
async function wrong(bird: Bird, round: number): Promise<string[]> {
  const table = await bird.table("protocol ours");
  const lines: string[] = [];
  for (let i = 0; i < ROUTES && lines.length < 5; i++) {
    const is = table.get(prefixOf(i))?.attributes;
    const want = i % 2 === 1 ? undefined : `${round * ROUTES + i}`;
    if (is?.["med"] !== want) lines.push(`${prefixOf(i)} ${JSON.stringify(is)}`);
  }
  return lines;
}

describe.skipIf(unavailable !== undefined)(`a slow neighbour${unavailable ?? ""}`, () => {
  test("gets what is true when it reads again, and the quick one does not wait for it", async () => {
    const { ours, slow, quick } = await world();
    slow.pause();
    const round = await flood(ours);
    for (let i = 1; i < ROUTES; i += 2) ours.withdraw(prefixOf(i));
    await eventually(async () => expect(await wrong(quick, round)).toEqual([]));
    const blocked = ours.peer(BIRD);
    // One place a prefix, however often it has changed.
    expect(blocked?.prefixesQueued).toBeGreaterThan(0);
    expect(blocked?.prefixesQueued).toBeLessThanOrEqual(ROUTES);
    expect(blocked?.bytesQueued).toBeLessThan(1_000_000);
    slow.resume();
    await eventually(async () => expect(await wrong(slow, round)).toEqual([]));
    expect(ours.peer(BIRD)).toMatchObject({
      state: "Established",
      dropped: 0,
      prefixesQueued: 0,
      bytesQueued: 0,
    });
  });

  test("is killed amid the table, and gets it whole when it is back", async () => {
    const { ours, slow } = await world();
    slow.pause();
    const round = await flood(ours);
    for (let i = 1; i < ROUTES; i += 2) ours.withdraw(prefixOf(i));
    await slow.kill();
    await slow.restart();
    await eventually(async () => expect(await wrong(slow, round)).toEqual([]));
    expect(ours.peer(BIRD)).toMatchObject({ established: 2, dropped: 1, prefixesQueued: 0 });
  });
});
