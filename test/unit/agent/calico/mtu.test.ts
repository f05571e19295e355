import { expect, test } from "vitest";
import { mtusOf } from "../../../../src/agent/calico/felix/mtu.ts";
import { type Pool, poolOf } from "../../../../src/control/calico/calc/pool-table.ts";
import type { IPPoolSpec } from "../../../../src/control/calico/resources.ts";
import { pool } from "../../../support/calico.ts";

const made = (spec: Partial<IPPoolSpec>): Pool =>
  poolOf(pool("p", { cidr: "10.244.0.0/16", ...spec })) as Pool;
const none = made({});
const ipip = made({ ipipMode: "CrossSubnet" });
const vxlan = made({ vxlanMode: "Always" });

test.each([
  [1500, [none], {}, { ipipBytes: 1480, vxlanBytes: 1450, podBytes: 1500 }],
  [1500, [none, ipip], {}, { ipipBytes: 1480, vxlanBytes: 1450, podBytes: 1480 }],
  [9001, [ipip, vxlan], {}, { ipipBytes: 8981, vxlanBytes: 8951, podBytes: 8951 }],
  [1460, [vxlan], { mtu: 0 }, { ipipBytes: 1440, vxlanBytes: 1410, podBytes: 1410 }],
  [1500, [ipip], { mtu: 1400 }, { ipipBytes: 1400, vxlanBytes: 1400, podBytes: 1400 }],
  [1500, [ipip], { ipipMTU: 1440 }, { ipipBytes: 1440, vxlanBytes: 1450, podBytes: 1440 }],
] as const)("an underlay of %i bytes", (underlay, pools, config, mtus) => {
  expect(mtusOf(underlay, 20, pools, config)).toEqual(mtus);
});

test("in UDP, IPIP takes eight bytes more", () => {
  expect(mtusOf(1500, 28, [ipip], {})).toMatchObject({ ipipBytes: 1472, podBytes: 1472 });
});
