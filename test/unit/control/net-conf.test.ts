import { describe, expect, test } from "vitest";
import { formatIpv4, formatPrefix } from "../../../src/base/ipv4-addr.ts";
import { parseNetConf } from "../../../src/control/flannel/net-conf.ts";

function conf(text: string) {
  const parsed = parseNetConf(text);
  if (!parsed.ok) throw new Error(parsed.error);
  const { network, subnetLen, subnetMin, subnetMax, backend } = parsed.value;
  return {
    network: formatPrefix(network),
    len: subnetLen,
    min: formatIpv4(subnetMin),
    max: formatIpv4(subnetMax),
    backend,
  };
}

function error(text: string): string {
  const parsed = parseNetConf(text);
  return parsed.ok ? "" : parsed.error;
}

describe("upstream's config tests", () => {
  test("TestConfigDefaults: a lower-case key, /24 subnets, the first one skipped", () => {
    expect(conf('{ "network": "10.3.0.0/16" }')).toMatchObject({
      network: "10.3.0.0/16",
      len: 24,
      min: "10.3.1.0",
      max: "10.3.255.0",
    });
  });

  test("TestConfigOverrides", () => {
    const text =
      '{ "Network": "10.3.0.0/16", "SubnetMin": "10.3.5.0", "SubnetMax": "10.3.8.0", "SubnetLen": 28 }';
    expect(conf(text)).toMatchObject({ network: "10.3.0.0/16", len: 28, min: "10.3.5.0", max: "10.3.8.0" });
  });

  test("TestIPv6ConfigDefaults and TestIPv6ConfigOverrides pass validation, and are then refused", () => {
    const unsupported = /^podloom does not support IPv6 yet: /;
    expect(error('{ "enableIPv6": true, "ipv6Network": "fc00::/48", "enableIPv4": false }')).toMatch(
      unsupported,
    );
    expect(
      error(
        '{ "EnableIPv6": true, "IPv6Network": "fc00::/48", "IPv6SubnetMin": "fc00:0:0:1::", "IPv6SubnetMax": "fc00:0:0:f::", "IPv6SubnetLen": 124, "enableIPv4": false }',
      ),
    ).toMatch(unsupported);
  });
});

describe("every message of validation", () => {
  const v4 = (rest: string) => `{"Network":"10.3.0.0/16",${rest}}`;
  const v6 = (rest: string) => `{"EnableIPv4":false,"EnableIPv6":true,${rest}}`;
  const cases: readonly [text: string, error: string][] = [
    ["{}", "please define a correct Network parameter in the flannel config"],
    ["null", "please define a correct Network parameter in the flannel config"],
    ['{"Network":"0.0.0.0/0"}', "please define a correct Network parameter in the flannel config"],
    [v4('"SubnetLen":31'), "SubnetLen must be less than /31"],
    [v4('"SubnetLen":18446744073709551615'), "SubnetLen must be less than /31"],
    [v4('"SubnetLen":17'), "network must be able to accommodate at least four subnets"],
    ['{"Network":"10.3.0.0/29"}', "network is too small. Minimum useful network prefix is /28"],
    [v4('"SubnetMin":"10.4.0.0"'), "SubnetMin is not in the range of the Network"],
    [v4('"SubnetMax":"10.2.255.0"'), "SubnetMax is not in the range of the Network"],
    [v4('"SubnetMin":"10.3.1.7"'), "SubnetMin is not on a SubnetLen boundary: 10.3.1.7"],
    [v4('"SubnetMax":"10.3.9.128"'), "SubnetMax is not on a SubnetLen boundary: 10.3.9.128"],
    ['{"EnableIPv4":false}', "none defined stack"],
    [v6('"SubnetLen":1'), "please define a correct IPv6Network parameter in the flannel config"],
    [v6('"IPv6Network":"fc00::/48","IPv6SubnetLen":127'), "SubnetLen must be less than /127"],
    [
      v6('"IPv6Network":"fc00::/48","IPv6SubnetLen":49'),
      "network must be able to accommodate at least four subnets",
    ],
    [v6('"IPv6Network":"fc00::/125"'), "IPv6Network is too small. Minimum useful network prefix is /124"],
    [
      v6('"IPv6Network":"fc00::/48","IPv6SubnetMin":"fd00::"'),
      "IPv6SubnetMin is not in the range of the IPv6Network",
    ],
    [
      v6('"IPv6Network":"fc00::/48","IPv6SubnetMax":"fd00::"'),
      "IPv6SubnetMax is not in the range of the IPv6Network",
    ],
    [
      v6('"IPv6Network":"fc00::/48","IPv6SubnetMin":"fc00:0:0:1::1"'),
      "IPv6SubnetMin is not on a SubnetLen boundary: fc00:0:0:1::1",
    ],
    [
      v6('"IPv6Network":"fc00::/48","IPv6SubnetMax":"fc00:0:0:f::1"'),
      "IPv6SubnetMax is not on a SubnetLen boundary: fc00:0:0:f::1",
    ],
    // The IPv4 half is checked first.
    ['{"EnableIPv6":true}', "please define a correct Network parameter in the flannel config"],
    [
      '{"EnableIPv6":true,"Network":"10.3.0.0/16"}',
      "please define a correct IPv6Network parameter in the flannel config",
    ],
  ];
  test.each(cases)("%s", (text, message) => {
    expect(error(text)).toBe(message);
  });
});

describe("Go's words for what cannot be decoded", () => {
  const cases: readonly [text: string, error: string][] = [
    ['"x"', "json: cannot unmarshal string into Go value of type subnet.Config"],
    ["[1]", "json: cannot unmarshal array into Go value of type subnet.Config"],
    [
      '{"EnableIPv4":"yes"}',
      "json: cannot unmarshal string into Go struct field Config.EnableIPv4 of type bool",
    ],
    ['{"enableipv6":1}', "json: cannot unmarshal number into Go struct field Config.EnableIPv6 of type bool"],
    [
      '{"SubnetLen":"24"}',
      "json: cannot unmarshal string into Go struct field Config.SubnetLen of type uint",
    ],
    [
      '{"SubnetLen":-1}',
      "json: cannot unmarshal number -1 into Go struct field Config.SubnetLen of type uint",
    ],
    [
      '{"SubnetLen":24.0}',
      "json: cannot unmarshal number 24.0 into Go struct field Config.SubnetLen of type uint",
    ],
    ['{"Network":"10.3.0.0"}', "invalid CIDR address: 10.3.0.0"],
    ['{"Network":"10.3.0.0\\/16"}', "invalid CIDR address: 10.3.0.0\\/16"],
    ['{"Network":"10.3.0.0/33"}', "invalid CIDR address: 10.3.0.0/33"],
    ['{"Network":null}', "invalid CIDR address: null"],
    ['{"Network":{"a":1}}', 'invalid CIDR address: {"a":1}'],
    ['{"SubnetMin":"10.3.5"}', "invalid IP address format"],
    ['{"SubnetMin":5}', "invalid IP address format"],
    ['{"SubnetMin":"010.3.5.0"}', "invalid IP address format"],
    [
      '{"Networks":5}',
      "json: cannot unmarshal number into Go struct field Config.Networks of type []ip.IP4Net",
    ],
    // The first type error is remembered, but a value that refuses itself ends the decoding.
    ['{"SubnetLen":"x","Network":"y"}', "invalid CIDR address: y"],
    [
      '{"SubnetLen":true,"EnableIPv4":3}',
      "json: cannot unmarshal bool into Go struct field Config.SubnetLen of type uint",
    ],
    [
      '{"Backend":"vxlan"}',
      "error decoding Backend property of config: json: cannot unmarshal string into Go value of type struct { Type string }",
    ],
    [
      '{"Backend":{"Type":7}}',
      "error decoding Backend property of config: json: cannot unmarshal number into Go struct field .Type of type string",
    ],
    [
      '{"Network":"10.3.0.0/16","Backend":{"Type":"vxlan","VNI":"1"}}',
      "error decoding VXLAN backend config: json: cannot unmarshal string into Go struct field .VNI of type int",
    ],
  ];
  test.each(cases)("%s", (text, message) => {
    expect(error(text)).toBe(message);
  });
});

test("what flanneld leaves to the kernel or to a panic has a sentence here", () => {
  const vxlan = (rest: string) => `{"Network":"10.3.0.0/16","Backend":{"Type":"vxlan",${rest}}}`;
  expect(error(vxlan('"VNI":16777216'))).toContain("VNI 16777216 is out of range");
  expect(error(vxlan('"Port":65536'))).toContain("Port 65536 is out of range");
  expect(error(vxlan('"MTU":60'))).toContain("MTU 60 is out of range");
  expect(error('{"Network":"fc00::/48"}')).toContain("is not an IPv4 network");
  expect(error('{"Network":"10.0.0.0/8","SubnetMin":"fc00::"}')).toContain("is not an IPv4 address");
});

test("keys match without regard to case, the last one wins, unknown ones are ignored", () => {
  expect(conf('{"NETWORK":"10.1.0.0/16","network":"10.2.0.0/16","Colour":{"x":[1]}}').network).toBe(
    "10.2.0.0/16",
  );
  expect(conf('{"network":"10.1.0.0/16","NETWORK":"10.2.0.0/16","network":"10.3.0.0/16"}').network).toBe(
    "10.3.0.0/16",
  );
  // Two letters outside ASCII fold into it.
  expect(conf('{"Networ\u212a":"10.4.0.0/16"}').network).toBe("10.4.0.0/16");
  expect(error('{"Network\u00df":"10.4.0.0/16"}')).toContain("please define");
});

test("host bits are masked, and small networks are split into four", () => {
  expect(conf('{"Network":"10.3.7.9/16"}').network).toBe("10.3.0.0/16");
  expect(conf('{"Network":"10.3.0.0/23"}')).toMatchObject({ len: 25, min: "10.3.0.128", max: "10.3.1.128" });
  expect(conf('{"Network":"10.3.0.0/28"}')).toMatchObject({ len: 30, min: "10.3.0.4", max: "10.3.0.12" });
  expect(conf('{"Network":"255.255.0.0/16"}')).toMatchObject({ min: "255.255.1.0", max: "255.255.255.0" });
});

describe("backend", () => {
  const network = '"Network":"10.3.0.0/16"';

  test("absent is udp, without Type is empty, null is without Type", () => {
    expect(conf(`{${network}}`).backend).toMatchObject({ type: "udp", raw: undefined });
    expect(conf(`{${network},"Backend":{}}`).backend.type).toBe("");
    expect(conf(`{${network},"Backend":null}`).backend.type).toBe("");
  });

  test("vxlan's defaults and keys", () => {
    expect(conf(`{${network},"Backend":{"Type":"VXLAN"}}`).backend).toEqual({
      type: "vxlan",
      vni: 1,
      port: 0,
      mtuBytes: undefined,
      gbp: false,
      learning: false,
      directRouting: false,
      raw: '{"Type":"VXLAN"}',
    });
    const full =
      '{"type":"vxlan","vni":7,"PORT":4789,"mtu":9000,"Gbp":true,"learning":true,"directrouting":true}';
    expect(conf(`{${network},"Backend":${full}}`).backend).toMatchObject({
      vni: 7,
      port: 4789,
      mtuBytes: 9000,
      gbp: true,
      learning: true,
      directRouting: true,
    });
  });

  test("another backend's keys are not taken for vxlan's", () => {
    expect(conf(`{${network},"Backend":{"Type":"wireguard","MTU":"auto","VNI":[]}}`).backend.vni).toBe(1);
  });
});
