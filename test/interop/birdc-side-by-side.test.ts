// The same neighbour, once of a BIRD and once of ours: what both say of it, and of its routes, in the words of birdc.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { BgpFolder, speakerText } from "../support/bgp-command.ts";
import type { Bird } from "../support/bird.ts";
import { BirdLab, eventually } from "../support/bird-lab.ts";
import { asOurs } from "../support/birdc-text.ts";
import { commandUnavailable } from "../support/command.ts";

const unavailable = commandUnavailable("bird");

// Of the nodes; their sockets are on 127.98.1.x.
const FEEDER = "10.98.1.1";
const TWIN = "10.98.1.2";
const OURS = "10.98.1.3";

const NETS = `
protocol static nets {
  ipv4;
  route 10.1.0.0/24 blackhole {
    bgp_origin = ORIGIN_EGP; bgp_path.prepend(65001); bgp_path.prepend(4200000001); bgp_med = 5;
    bgp_community.add((64512,7)); bgp_community.add((65535,65281));
    bgp_ext_community.add((rt,64512,9)); bgp_ext_community.add((ro,10.0.0.1,7)); bgp_ext_community.add((generic, 0x43000000, 1));
    bgp_large_community.add((4200000001,2,3)); bgp_large_community.add((1,2,4294967295));
  };
  route 10.1.1.0/24 blackhole;
  route 10.1.0.0/16 blackhole;
  route 10.2.0.0/24 blackhole { bgp_path.prepend(64512); };
}
protocol static nets6 { ipv6; route fd00:1::/64 blackhole; }
`;

/** One side of a session of the feeder. */
function feeding(name: string, remote: string, port: number, own: number): string {
  return `protocol bgp ${name} from quick {
  local ${host(FEEDER)} port ${own} as 64513; neighbor ${host(remote)} port ${port} as 64512; passive;
  ipv4 { igp table underlay; import all; export where source = RTS_STATIC; next hop address ${FEEDER}; };
  ipv6 { igp table underlay6; import all; export where source = RTS_STATIC; next hop address fd00::1; };
}
`;
}

const host = (addr: string): string => addr.replace(/^10/, "127");

describe.skipIf(unavailable !== undefined)(`birdc, side by side${unavailable ?? ""}`, () => {
  const lab = new BirdLab();
  const folder = new BgpFolder();
  let twin: Bird;
  let birdc: (words: string) => Promise<string>;

  beforeAll(async () => {
    const [toTwin, toOurs, own] = [await lab.port(FEEDER), await lab.port(FEEDER), await lab.port(TWIN)];
    await lab.bird(FEEDER, NETS + feeding("twin", TWIN, own, toTwin) + feeding("ours", OURS, 1790, toOurs));
    twin = await lab.bird(
      TWIN,
      `protocol static static1 { ipv4; route 10.244.1.0/26 blackhole; }
protocol bgp f from quick {
  local ${host(TWIN)} port ${own} as 64512; neighbor ${host(FEEDER)} port ${toTwin} as 64513; hold time 90;
  ipv4 { igp table underlay; import all; export where source = RTS_STATIC; import limit 50; next hop address ${TWIN}; add paths on; };
  ipv6 { igp table underlay6; import all; export where source = RTS_STATIC; import limit 50; add paths on; };
}
`,
    );
    const ours = folder.start(
      "ours",
      speakerText(
        OURS,
        `address6: fd00::3
networks: [10.244.1.0/26]
neighbors:
  - name: f
    address: ${FEEDER}
    port: ${toOurs}
    as: 64513
    families: [ipv4, ipv6]
    addPath: both
    prefixLimit: { limit: 50 }
    connectDelaySec: 1
`,
      ),
    );
    await eventually(() => expect(ours.logOf("ready")).toHaveLength(1));
    const client = await ours.client();
    birdc = async (words) => {
      let text = "";
      await client.birdc([words], (piece) => {
        text += piece;
      });
      return text;
    };
    await eventually(async () => {
      for (const ask of [birdc, (words: string) => twin.ask(words)]) {
        expect(await ask("show route protocol f count")).toMatch(/3 of \d+ routes .*\n1 of 1 routes/);
        expect(await ask("show protocols all f")).toMatch(/3 imported.*, 1 exported/);
      }
    });
  }, 60_000);
  afterAll(async () => {
    await folder.remove();
    await lab.close();
  });

  /** Without times and versions, and with the addresses of nodes; the feeder is called by its node's address on our side. */
  function plain(text: string): string {
    return text
      .replace(/^podloom \S+ ready\.\n/, "")
      .replaceAll(/\d\d:\d\d:\d\d\.\d{3}/g, "00:00:00.000")
      .replaceAll(/\b127\.98\./g, "10.98.");
  }

  async function both(words: string): Promise<readonly [ours: string, bird: string]> {
    return [plain(await birdc(words)), plain(asOurs(await twin.ask(words)))];
  }

  test.each([
    "show route protocol f",
    "show route protocol f all",
    "show route protocol f primary",
    "show route 10.1.0.0/24 all",
    "show route for 10.1.0.77",
    "show route for 10.1.9.9 all",
    "show route for fd00:1::7",
    "show route export f",
    "show route table master6 all",
    "show route for 10.244.1.1 all",
  ])("%s", async (words) => {
    const [ours, bird] = await both(words);
    // BIRD has a way to the next hop, through `lo`, of no known metric; and we call the feeder, which is its own next hop, once.
    const same = (text: string) =>
      text
        .replaceAll(/^\t(?:via|dev) .*\n/gm, "")
        .replaceAll("(100/?)", "(100)")
        .replaceAll(` from ${FEEDER}`, "")
        // What is told leads to us.
        .replace(/unicast(?= \[static1 .*\n$)/, "blackhole");
    expect(same(ours)).toBe(same(bird));
    expect(ours.length).toBeGreaterThan(60);
  });

  test("show protocols", async () => {
    const [ours, bird] = await both("show protocols f");
    expect(ours).toBe(bird);
    const [mine, birds] = (await both("show protocols all f")).map((text) =>
      // The one that has gone in a circle counts with us.
      text.replace(", 1 filtered", "").split("\n"),
    ) as [string[], string[]];
    const vary =
      /timer:|Neighbor (?:ID|port)|Source address|Next hop|Long-lived|Restart time|AF (?:supported|preserved)/;
    const fixed = (lines: readonly string[]) => lines.filter((line) => !vary.test(line));
    expect(fixed(mine)).toEqual(fixed(birds));
    expect(
      mine.filter((line) => /^ {4}(?:Hold|Keepalive) timer: +\d+\.\d{3}\/(?:90|30)$/.test(line)),
    ).toHaveLength(2);
  });

  test("show route count", async () => {
    const [ours, bird] = await both("show route protocol f count");
    expect(ours).toBe(bird);
  });
});
