import { describe, expect, test } from "vitest";
import { ipv4, prefix } from "../../../src/base/ipv4-addr.ts";
import { mac } from "../../../src/base/mac-addr.ts";
import {
  emitLeaseAttrs,
  parseLeaseAttrs,
  vxlanBackendData,
} from "../../../src/control/flannel/lease-attrs.ts";
import {
  emitSubnetEnv,
  parsePreviousSubnet,
  parseSubnetEnv,
} from "../../../src/control/flannel/subnet-env.ts";

describe("the bytes that json.Marshal writes", () => {
  const publicIp = ipv4("1.2.3.4");

  test("vxlan", () => {
    const want =
      '{"PublicIP":"1.2.3.4","PublicIPv6":null,"BackendType":"vxlan","BackendData":{"VNI":1,"VtepMAC":"c6:d2:32:6f:8f:44"}}';
    const vtepMac = mac("c6:d2:32:6f:8f:44");
    const backendData = vxlanBackendData(1, vtepMac);
    expect(emitLeaseAttrs({ publicIp, backendType: "vxlan", backendData })).toBe(want);
    expect(emitLeaseAttrs({ publicIp, backendType: "vxlan", vni: 1, vtepMac, backendData: undefined })).toBe(
      want,
    );
  });

  test("TestEtcdRegistry: a backend without a type (udp, alloc)", () => {
    expect(emitLeaseAttrs({ publicIp, backendType: undefined, backendData: undefined })).toBe(
      '{"PublicIP":"1.2.3.4","PublicIPv6":null}',
    );
  });

  test("host-gw has no data; extension's data is a string; dual stack has all five", () => {
    expect(emitLeaseAttrs({ publicIp, backendType: "host-gw", backendData: undefined })).toBe(
      '{"PublicIP":"1.2.3.4","PublicIPv6":null,"BackendType":"host-gw"}',
    );
    expect(emitLeaseAttrs({ publicIp, backendType: "extension", backendData: "<key>" })).toBe(
      '{"PublicIP":"1.2.3.4","PublicIPv6":null,"BackendType":"extension","BackendData":"\\u003ckey\\u003e"}',
    );
    expect(
      emitLeaseAttrs({
        publicIp,
        publicIpv6: "fd00::1",
        backendType: "wireguard",
        backendData: { PublicKey: "a+b=", Port: 51820 },
        backendV6Data: { PublicKey: "a+b=", Port: 51821 },
      }),
    ).toBe(
      '{"PublicIP":"1.2.3.4","PublicIPv6":"fd00::1","BackendType":"wireguard","BackendData":{"PublicKey":"a+b=","Port":51820},"BackendV6Data":{"PublicKey":"a+b=","Port":51821}}',
    );
  });
});

describe("reading what others wrote", () => {
  test("a real flanneld's value", () => {
    const text =
      '{"PublicIP":"10.0.0.7","PublicIPv6":null,"BackendType":"vxlan","BackendData":{"VNI":7,"VtepMAC":"C6:D2:32:6F:8F:44"}}';
    expect(parseLeaseAttrs(text)).toEqual({
      ok: true,
      value: {
        publicIp: ipv4("10.0.0.7"),
        backendType: "vxlan",
        vni: 7,
        vtepMac: mac("c6:d2:32:6f:8f:44"),
        backendData: { VNI: 7, VtepMAC: "C6:D2:32:6F:8F:44" },
      },
    });
  });

  test("flannel before 0.18 wrote neither PublicIPv6 nor VNI, and hands write any case", () => {
    const parsed = parseLeaseAttrs(
      '{"publicip":"10.0.0.7","BACKENDTYPE":"vxlan","BackendData":{"vtepmac":"02-00-00-00-00-01"}}',
    );
    expect(parsed).toMatchObject({ ok: true, value: { vni: 0, vtepMac: mac("02:00:00:00:00:01") } });
    const dotted = parseLeaseAttrs(
      '{"PublicIP":"10.0.0.7","BackendType":"vxlan","BackendData":{"VtepMAC":"0200.0000.0001"}}',
    );
    expect(dotted).toMatchObject({ ok: true, value: { vtepMac: mac("02:00:00:00:00:01") } });
  });

  test.each([
    '"BackendData":null',
    '"BackendData":"x"',
    '"BackendData":{"VNI":1}',
    '"BackendData":{"VNI":-1,"VtepMAC":"02:00:00:00:00:01"}',
    '"BackendData":{"VNI":1,"VtepMAC":"02:00:00:00:00"}',
    '"BackendData":{"VNI":1,"VtepMAC":["02:00:00:00:00:01"]}',
  ])("vxlan data that nobody can use is left out: %s", (data) => {
    const parsed = parseLeaseAttrs(`{"PublicIP":"1.2.3.4","BackendType":"vxlan",${data}}`);
    expect(parsed.ok).toBe(true);
    expect(parsed.ok ? parsed.value.vtepMac : 0).toBeUndefined();
  });

  test.each([
    ["", "unexpected end of JSON input"],
    ["/coreos.com/network/subnets/10.5.1.0-24", "invalid character '/' looking for beginning of value"],
    ["[]", "json: cannot unmarshal array into Go value of type lease.LeaseAttrs"],
    ["null", "PublicIP is missing"],
    ["{}", "PublicIP is missing"],
    ['{"PublicIP":"0.0.0.0"}', "PublicIP is missing"],
    ['{"PublicIP":"1.2.3"}', "invalid IP address format"],
    ['{"PublicIP":null}', "invalid IP address format"],
    ['{"PublicIP":"1.2.3.4","PublicIPv6":"x"}', "invalid IP address format"],
    [
      '{"PublicIP":"1.2.3.4","BackendType":1}',
      "json: cannot unmarshal number into Go struct field LeaseAttrs.BackendType of type string",
    ],
    [
      `{"PublicIP":"1.2.3.4","BackendData":${"[".repeat(99)}${"]".repeat(99)}}`,
      "BackendData is nested too deeply",
    ],
  ])("%s is refused", (text, error) => {
    expect(parseLeaseAttrs(text)).toEqual({ ok: false, error });
  });
});

describe("subnet.env", () => {
  const env = {
    network: prefix("10.244.0.0/16"),
    subnet: prefix("10.244.1.0/24"),
    mtuBytes: 1450,
    ipMasq: true,
  };
  const text =
    "FLANNEL_NETWORK=10.244.0.0/16\nFLANNEL_SUBNET=10.244.1.1/24\nFLANNEL_MTU=1450\nFLANNEL_IPMASQ=true\n";

  test("is written with the subnet's first usable address, and read back", () => {
    expect(emitSubnetEnv(env)).toBe(text);
    expect(parseSubnetEnv(text)).toEqual({ ok: true, value: env });
  });

  test("IPv6 lines, comments and quotes do no harm", () => {
    const more = `# hello\nexport FLANNEL_IPV6_NETWORK=fd00::/56\n${text.replace("1450", '"1450"')}`;
    expect(parseSubnetEnv(more)).toEqual({ ok: true, value: env });
  });

  test("names what is missing, as the CNI plugin does", () => {
    expect(parseSubnetEnv("FLANNEL_NETWORK=10.244.0.0/16\nFLANNEL_MTU=x\n")).toEqual({
      ok: false,
      error: "is missing FLANNEL_SUBNET, FLANNEL_MTU, FLANNEL_IPMASQ",
    });
  });

  test("the previous subnet: bad entries are skipped, two good ones count as none", () => {
    expect(parsePreviousSubnet("FLANNEL_SUBNET=10.244.1.1/24\n")).toEqual(prefix("10.244.1.0/24"));
    expect(parsePreviousSubnet("FLANNEL_SUBNET=bad,10.244.1.1/24\n")).toEqual(prefix("10.244.1.0/24"));
    expect(parsePreviousSubnet("FLANNEL_SUBNET=10.244.1.1/24,10.244.2.1/24\n")).toBeUndefined();
    expect(parsePreviousSubnet("FLANNEL_SUBNET=10.244.1.1/33\n")).toBeUndefined();
    expect(parsePreviousSubnet("")).toBeUndefined();
  });
});
