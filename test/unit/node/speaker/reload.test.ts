import { describe, expect, test } from "vitest";
import { formatIpv4 } from "../../../../src/base/ipv4-addr.ts";
import { SeededRng } from "../../../../src/base/rng.ts";
import type { SpeakerPlan } from "../../../../src/node/speaker/plan.ts";
import {
  applyChange,
  describeChange,
  differences,
  frozenFaults,
  type PlanChange,
} from "../../../../src/node/speaker/reload.ts";
import { ConnIds } from "../../../../src/routing/bgp/session/peer-messages.ts";
import { peerRows, routeRows } from "../../../../src/routing/bgp/speaker/inspect.ts";
import { BgpSpeaker } from "../../../../src/routing/bgp/speaker/speaker.ts";
import { SPEAKER_HEAD as HEAD, planOf } from "../../../support/speaker-text.ts";

const BEFORE = `${HEAD}networks: [10.244.1.0/24, 10.244.2.0/24]
policies: { p: { default: accept } }
templates: { t: { as: internal, export: p } }
neighbors:
  - { name: a, address: 10.0.1.2, template: t }
  - { name: b, address: 10.0.1.3, template: t }
  - { name: c, address: 10.0.1.4, as: 64513 }
ranges:
  - { name: r, prefix: 10.0.2.0/24, as: any, export: p }
  - { name: s, prefix: 10.0.3.0/24, as: any }
`;

/** What a change of the text comes to, one word and name each. */
async function changes(edit: (text: string) => string): Promise<string[]> {
  const before = await planOf(BEFORE);
  const after = await planOf(edit(BEFORE), { policies: before.policies });
  expect(frozenFaults(before, after)).toEqual([]);
  return differences(before, after).changes.map(brief);
}

function brief(change: PlanChange): string {
  if ("network" in change) return `${change.t} ${formatIpv4(change.network.prefix.a)}`;
  return `${change.t} ${change.config.name}`;
}

describe("what a reload touches", () => {
  test("nothing, when the file says the same in other words", async () => {
    expect(await changes((text) => text)).toEqual([]);
    expect(
      await changes((text) =>
        text.replace("10.0.1.4, as: 64513", "10.0.1.4, as: 64513, holdTimeSec: 90, export: all"),
      ),
    ).toEqual([]);
  });

  test("the sessions of others, when one goes and one comes, not", async () => {
    const edit = (text: string) => text.replace("name: b, address: 10.0.1.3", "name: d, address: 10.0.1.5");
    expect(await changes(edit)).toEqual(["delNeighbor b", "addNeighbor d"]);
  });

  test("a session whose OPEN would be another, and no other", async () => {
    const edit = (text: string) =>
      text.replace("10.0.1.4, as: 64513", "10.0.1.4, as: 64513, holdTimeSec: 30");
    expect(await changes(edit)).toEqual(["delNeighbor c", "addNeighbor c"]);
  });

  test.each([
    ["a port", "port: 180"],
    ["a password", "password: hush"],
    ["BFD", "bfd: true"],
    ["an ADD-PATH direction", "addPath: both"],
  ])("%s needs a new session", async (_, option) => {
    const edit = (text: string) => text.replace("10.0.1.4, as: 64513", `10.0.1.4, as: 64513, ${option}`);
    expect(await changes(edit)).toEqual(["delNeighbor c", "addNeighbor c"]);
  });

  test.each([
    ["a policy by name", "import: none"],
    ["a next hop mode", "nextHop: self"],
    ["an interval", "mraiSec: 5"],
  ])("%s does not", async (_, option) => {
    const edit = (text: string) => text.replace("10.0.1.4, as: 64513", `10.0.1.4, as: 64513, ${option}`);
    expect(await changes(edit)).toEqual(["reconfigure c"]);
  });

  test("all who use a policy that says something else, and keeps their sessions", async () => {
    const edit = (text: string) => text.replace("{ p: { default: accept }", "{ p: { default: reject }");
    expect(await changes(edit)).toEqual(["reconfigure a", "reconfigure b", "reconfigureRange r"]);
  });

  test("names that change places: what goes, goes first", async () => {
    const edit = (text: string) =>
      text
        .replace("name: a, address: 10.0.1.2", "name: X, address: 10.0.1.2")
        .replace("name: b, address: 10.0.1.3", "name: a, address: 10.0.1.3")
        .replace("name: X", "name: b");
    expect(await changes(edit)).toEqual(["delNeighbor a", "delNeighbor b", "addNeighbor b", "addNeighbor a"]);
  });

  test("shutdown and back", async () => {
    const edit = (text: string) => text.replace("10.0.1.4, as: 64513", "10.0.1.4, as: 64513, shutdown: true");
    expect(await changes(edit)).toEqual(["shutdown c"]);
    const before = await planOf(edit(BEFORE));
    expect(differences(before, await planOf(BEFORE)).changes.map(brief)).toEqual(["enable c"]);
  });

  test("ranges and networks", async () => {
    expect(
      await changes((text) =>
        text
          .replace("name: s, prefix: 10.0.3.0/24, as: any", "name: u, prefix: 10.0.4.0/24, as: any")
          .replace("10.0.2.0/24, as: any", "10.0.2.0/24, as: internal")
          .replace("[10.244.1.0/24, 10.244.2.0/24]", "[{ prefix: 10.244.1.0/24, med: 5 }, 10.244.3.0/24]"),
      ),
    ).toEqual([
      "delRange r",
      "delRange s",
      "withdraw 10.244.2.0",
      "addRange r",
      "addRange u",
      "originate 10.244.1.0",
      "originate 10.244.3.0",
    ]);
  });

  test.each([
    ["as", "as: 64512", "as: 64599"],
    ["routerId", "routerId: 10.0.1.1", "routerId: 10.0.1.9\naddress: 10.0.1.1"],
    ["listen", "carrier: loopback", "carrier: loopback\nlisten: { port: 1791 }"],
    ["decision", "carrier: loopback", "carrier: loopback\ndecision: { multipathMax: 4 }"],
    ["dynamicLimit", "carrier: loopback", "carrier: loopback\ndynamicLimit: 5"],
  ])("%s cannot change", async (key, from, to) => {
    const before = await planOf(BEFORE);
    const after = await planOf(BEFORE.replace(from, to));
    const faults = frozenFaults(before, after);
    expect(faults.map(({ path }) => path)).toContainEqual([key]);
    expect(faults[0]?.remedy).toMatch(/^Stop it and start it again/);
  });

  test("metrics, capture and name wait for a restart, and say so", async () => {
    const before = await planOf(BEFORE);
    const after = await planOf(`${BEFORE}name: other\nmetrics: 127.0.0.1:1\ncapture: x.pcapng\n`);
    expect(differences(before, after).needRestart).toEqual([
      "name: it is still sp",
      "metrics: it takes effect with the next start",
      "capture: it takes effect with the next start",
    ]);
  });
});

describe("what a reload does", () => {
  const NOW = 1_000_000;

  function started(plan: SpeakerPlan): BgpSpeaker {
    const speaker = new BgpSpeaker(plan.speaker, { rng: new SeededRng(1), ids: new ConnIds() });
    for (const range of plan.ranges) speaker.addRange(range);
    for (const neighbor of plan.neighbors) speaker.addNeighbor(neighbor, NOW);
    for (const network of plan.networks) speaker.originate(network, NOW);
    speaker.handle({ t: "start" }, NOW);
    speaker.handle({ t: "tick" }, NOW);
    return speaker;
  }

  function shape(speaker: BgpSpeaker): unknown {
    return {
      peers: peerRows(speaker, NOW).map(({ name, addr, enabled, importPolicy, exportPolicy }) => ({
        name,
        addr,
        enabled,
        importPolicy,
        exportPolicy,
      })),
      ranges: speaker.neighbors.dumpRanges(),
      routes: routeRows(speaker, NOW).map(({ prefix, med }) => ({ prefix, med })),
    };
  }

  test.each([
    (text: string) => text.replace("{ p: { default: accept }", "{ p: { default: reject }"),
    (text: string) => text.replace("name: b, address: 10.0.1.3", "name: d, address: 10.0.1.5"),
    (text: string) =>
      text
        .replace("name: a, address: 10.0.1.2", "name: X, address: 10.0.1.2")
        .replace("name: b, address: 10.0.1.3", "name: a, address: 10.0.1.3")
        .replace("name: X", "name: b"),
    (text: string) =>
      text
        .replace("10.0.2.0/24, as: any", "10.0.2.0/24, as: internal")
        .replace("[10.244.1.0/24, 10.244.2.0/24]", "[{ prefix: 10.244.1.0/24, med: 5 }]"),
    (text: string) =>
      text.replace("10.0.1.4, as: 64513", "10.0.1.4, as: 64513, shutdown: true, import: none"),
  ])("leaves what a start with the new file would have made (%#)", async (edit) => {
    const before = await planOf(BEFORE);
    const after = await planOf(edit(BEFORE), { policies: before.policies });
    const speaker = started(before);
    const { changes: todo } = differences(before, after);
    expect(todo.length).toBeGreaterThan(0);
    for (const change of todo)
      expect(applyChange(change, speaker, NOW) ?? { ok: true }).toMatchObject({ ok: true });
    speaker.handle({ t: "tick" }, NOW);
    expect(shape(speaker)).toEqual(shape(started(after)));
    for (const change of todo) expect(describeChange(change) ?? "").not.toContain("undefined");
  });

  test("a neighbor that comes back otherwise is told a changed configuration, one that does not, that it is gone", async () => {
    const before = await planOf(BEFORE);
    const after = await planOf(
      BEFORE.replace("10.0.1.4, as: 64513", "10.0.1.4, as: 64513, holdTimeSec: 30").replace(
        "  - { name: b, address: 10.0.1.3, template: t }\n",
        "",
      ),
    );
    const { changes: todo } = differences(before, after);
    expect(todo.map((change) => [brief(change), "replaced" in change ? change.replaced : undefined])).toEqual(
      [
        ["delNeighbor c", true],
        ["delNeighbor b", false],
        ["addNeighbor c", undefined],
      ],
    );
    expect(todo.map(describeChange)).toEqual([
      undefined,
      "neighbor b (10.0.1.3) is gone",
      "neighbor c (10.0.1.4) begins anew with another configuration",
    ]);
  });
});
