// The same lab, once of a Linux kernel with iproute2 6.1 and net-tools 2.10 (test/vectors/console, as they printed it), and once
// emulated: the same text, byte for byte. Each file holds the command line, its output and its exit code.
import { readdirSync, readFileSync } from "node:fs";
import { afterAll, describe, expect, test } from "vitest";
import { ipv4, prefix } from "../../../src/base/ipv4-addr.ts";
import { mac } from "../../../src/base/mac-addr.ts";
import { vethPair } from "../../../src/stack/veth.ts";
import { ReferenceLab } from "../../support/reference-lab.ts";

interface Golden {
  readonly name: string;
  readonly argv: readonly string[];
  readonly want: string;
}

const folder = new URL("../../vectors/console/", import.meta.url);
const goldens: readonly Golden[] = readdirSync(folder).map((file) => {
  const want = readFileSync(new URL(file, folder), "utf8");
  const argv = want.slice(2, want.indexOf("\n")).split(" ");
  return { name: file.replace(/\.txt$/, ""), argv, want };
});
const of = (stage: string) => goldens.filter(({ name }) => name.startsWith(`${stage}-`));

function run(lab: ReferenceLab, { name, argv }: Golden): string {
  const [first] = lab.nodes;
  const ran = lab.run(name.startsWith("pod-") ? first.pod : first.netns, argv);
  return `$ ${argv.join(" ")}\n${ran.stdout}${ran.stderr}exit ${ran.exitCode}\n`;
}

/** A lab in which a pod has pinged its peer three times. */
function pinged(): ReferenceLab {
  const lab = new ReferenceLab();
  lab.run(lab.nodes[0].pod, ["ping", "-c", "3", "-i", "0.2", "10.244.2.2"]);
  return lab;
}

describe("the lab as it is set up", () => {
  const lab = pinged();
  afterAll(() => {
    lab.close();
    expect(lab.pool.outstanding).toBe(0);
  });

  test.each([...of("node"), ...of("pod")])("$name", (golden) => {
    expect(run(lab, golden)).toBe(golden.want);
  });
});

describe("with every kind of route", () => {
  const lab = pinged();
  const [{ netns, vxlan, e0 }] = lab.nodes;
  const via = ipv4("192.168.5.2");
  const { now } = lab;
  netns.addRoute(
    { dst: prefix("10.9.0.0/16"), via, metric: 100, proto: "static", src: ipv4("192.168.5.1") },
    now,
  );
  netns.addRoute({ dst: prefix("10.8.0.0/16"), type: "blackhole", proto: "bird" }, now);
  netns.addRoute({ dst: prefix("10.7.0.0/16"), type: "unreachable" }, now);
  netns.addRoute({ dst: prefix("10.6.0.0/16"), type: "prohibit", metric: 5 }, now);
  netns.addRoute({ dst: prefix("0.0.0.0/0"), via, dev: e0, onlink: true, metric: 7 }, now);
  netns.addRoute({ dst: prefix("10.5.0.0/16"), dev: vxlan, proto: "felix", scope: "link" }, now);
  netns.addRoute({ dst: prefix("10.10.0.1/32"), dev: e0 }, now);

  test.each(of("routes"))("$name", (golden) => {
    expect(run(lab, golden)).toBe(golden.want);
  });
});

test("devices and addresses in their states", () => {
  const lab = pinged();
  const [{ netns, vxlan, hostPort }] = lab.nodes;
  const expectGolden = (...names: readonly string[]) => {
    for (const name of names) {
      const golden = goldens.find((one) => one.name === `states-${name}`) as Golden;
      expect(run(lab, golden)).toBe(golden.want);
    }
  };
  const [v9, v8] = vethPair(lab.stack, "v9", "v8", mac("02:bb:00:00:00:09"), mac("02:bb:00:00:00:08"), 1500);
  netns.addDevice(v9);
  netns.addDevice(v8);
  expectGolden("fresh-pair");
  netns.setLink(v9, true, lab.now);
  expectGolden("peer-down", "peer-down-brief");
  netns.addAddress(v9, { addr: ipv4("10.1.1.1"), len: 24 }, lab.now);
  netns.addAddress(v9, { addr: ipv4("10.1.1.9"), len: 24 }, lab.now);
  const broadcast = ipv4("10.3.3.255");
  netns.addAddress(v9, { addr: ipv4("10.3.3.3"), len: 24, broadcast, noPrefixRoute: true }, lab.now);
  expectGolden("addresses", "linkdown-route");
  netns.setLink(v8, true, lab.now);
  expectGolden("pair-up");
  netns.delDevice(v8, lab.now);
  netns.setLink(vxlan, false, lab.now);
  expectGolden("vxlan-down", "vxlan-down-route");
  netns.setLink(hostPort, false, lab.now);
  expectGolden("port-down", "bridge-down");
  const shown = goldens.filter(({ name }) => name.startsWith("states-")).length;
  expect(shown).toBe(10);
  lab.close();
  expect(lab.pool.outstanding).toBe(0);
});
