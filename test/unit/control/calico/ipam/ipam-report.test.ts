// Reports of `ipam check`, read again: what `ipam release` may believe of them.
import { expect, test } from "vitest";
import { formatIpv4 } from "../../../../../src/base/ipv4-addr.ts";
import {
  type IpamReport,
  leakedInAll,
  parseIpamReport,
} from "../../../../../src/control/calico/ipam/ipam-report.ts";

const SEQUENCE = "9223372036854775809";

function text(allocations: readonly string[], more = ""): string {
  const list = allocations.map((body, i) => `"k${i}": [${body}]`).join(",");
  return `{"clusterGUID":"g","clusterInformationRevision":"7","allocations":{${list}}${more}}`;
}

const allocation = (ip: string, inUse: boolean, sequence = SEQUENCE, handle = "h"): string =>
  `{"ip":"${ip}","handle":"${handle}","sequenceNumber":${sequence},"inUse":${inUse}}`;

function read(given: string): IpamReport {
  const report = parseIpamReport(given);
  if (!report.ok) throw new Error(report.error);
  return report.value;
}

const leaked = (...reports: IpamReport[]): string[] =>
  [...leakedInAll(reports).leaked.keys()].map(formatIpv4);

test("what nobody uses, with sequence numbers to the last digit", () => {
  const report = read(text([allocation("10.0.0.1", false), allocation("10.0.0.2", true)]));
  expect([...report.leaked.values()]).toEqual([{ handle: "h", sequenceNumber: BigInt(SEQUENCE) }]);
  expect(leaked(report)).toEqual(["10.0.0.1"]);
});

test("an address that one entry calls used is used", () => {
  expect(leaked(read(text([allocation("10.0.0.1", false), allocation("10.0.0.1", true)])))).toEqual([]);
});

test("of several reports what all call leaked, and as they first did", () => {
  const first = read(text([allocation("10.0.0.1", false), allocation("10.0.0.2", false)]));
  const anew = read(text([allocation("10.0.0.1", false, "8"), allocation("10.0.0.2", false)]));
  const other = read(text([allocation("10.0.0.2", false, SEQUENCE, "i")]));
  expect(leaked(first, anew)).toEqual(["10.0.0.2"]);
  expect(leaked(first, anew, other)).toEqual([]);
});

test("a handle counts where no report has seen it change", () => {
  const handle = (revision: string): string =>
    text([], `,"leakedHandles":[{"ID":"x","Revision":"${revision}"}]`);
  expect([...leakedInAll([read(handle("5")), read(handle("5"))]).leakedHandles]).toEqual([["x", "5"]]);
  expect(leakedInAll([read(handle("5")), read(handle("6"))]).leakedHandles.size).toBe(0);
});

test.each([
  ["[", "no JSON"],
  ["{}", "no report of `ipam check`"],
  ['{"allocations":[]}', "no report of `ipam check`"],
  ['{"allocations":{}}', "of which cluster"],
  [text(["7"]), "an allocation of k0 cannot be read"],
  [text([allocation("10.0.0.1", false, "1.5")]), "an allocation of k0 cannot be read"],
  [text([], ',"leakedHandles":{}'), "is no list"],
  // Revision 0 would mean a handle that is not there.
  [text([], ',"leakedHandles":[{"ID":"x","Revision":"0"}]'), "a leaked handle cannot be read"],
  [text([], ',"leakedHandles":[{"ID":"","Revision":"5"}]'), "a leaked handle cannot be read"],
  [text([], ',"leakedHandles":[{"ID":"x","Revision":"1e3"}]'), "a leaked handle cannot be read"],
])("refuses %s", (given, why) => {
  expect(parseIpamReport(given)).toMatchObject({ ok: false, error: expect.stringContaining(why) });
});
