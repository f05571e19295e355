import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { ipv4, prefix } from "../../../src/base/ipv4-addr.ts";
import { NODE_USAGE, parseNodeConfig } from "../../../src/node/config.ts";

const NEEDED = [
  "--name",
  "node1",
  "--address",
  "192.168.56.2",
  "--segment",
  "192.168.56.0/24",
  "--etcd",
  "http://127.0.0.1:2379",
];
const parse = (...more: string[]) => parseNodeConfig([...NEEDED, ...more], { XDG_STATE_HOME: "/s" });

test("what is needed is enough; the rest has defaults", () => {
  expect(parse()).toEqual({
    name: "node1",
    address: ipv4("192.168.56.2"),
    segment: prefix("192.168.56.0/24"),
    carrier: "loopback",
    mtuBytes: 1500,
    etcd: { endpoints: ["http://127.0.0.1:2379"] },
    cni: "flannel",
    calicoVersion: "3.32",
    bgpTimers: "calico",
    ipipCarrier: "auto",
    gateway: undefined,
    storeClient: "slim",
    etcdPrefix: "/coreos.com/network",
    leaseTtlSec: 20,
    leaseMode: "keepalive",
    leaseMarginSec: 3600,
    strict: false,
    subnet: undefined,
    state: "/s/podloom/node/node1",
    control: undefined,
    pods: [],
    logLevel: "info",
    logFile: undefined,
  });
});

test("every flag is heard", () => {
  const flags = [
    "--carrier",
    "host",
    "--mtu",
    "9000",
    "--store-client",
    "etcd3",
    "--etcd-prefix",
    "/x/y",
    "--lease-ttl",
    "30",
    "--subnet",
    "10.244.7.0/24",
    "--strict",
    "--state",
    "/d",
  ];
  const more = [
    "--control",
    "/c.sock",
    "--pod",
    "a",
    "--pod",
    "b=10.244.1.9",
    "--log-level",
    "debug",
    "--log-file",
    "/l",
  ];
  expect(parse(...flags, ...more)).toMatchObject({
    carrier: "host",
    mtuBytes: 9000,
    storeClient: "etcd3",
    etcdPrefix: "/x/y",
    leaseTtlSec: 30,
    strict: true,
    subnet: prefix("10.244.7.0/24"),
    state: "/d",
    control: "/c.sock",
    pods: [
      { name: "a", ip: undefined },
      { name: "b", ip: ipv4("10.244.1.9") },
    ],
    logLevel: "debug",
    logFile: "/l",
  });
});

test("several endpoints, and flanneld's lifetime in mode renew", () => {
  expect(parse("--etcd", "http://a:2379, https://b:2380/", "--lease-mode", "renew")).toMatchObject({
    etcd: { endpoints: ["http://a:2379", "https://b:2380"] },
    leaseTtlSec: 86_400,
    leaseMode: "renew",
  });
});

test("a node of a Calico cluster", () => {
  const flags = [
    "--cni",
    "calico",
    "--calico-version",
    "3.33",
    "--bgp-timers",
    "fast",
    "--ipip-carrier",
    "fou",
  ];
  const pods = ["--pod", "a", "--pod", "b@shop", "--pod", "c=10.244.1.9@shop"];
  expect(parse(...flags, "--gateway", "192.168.56.1", ...pods)).toMatchObject({
    cni: "calico",
    calicoVersion: "3.33",
    bgpTimers: "fast",
    ipipCarrier: "fou",
    gateway: ipv4("192.168.56.1"),
    pods: [
      { name: "a", ip: undefined },
      { name: "b", ip: undefined, namespace: "shop" },
      { name: "c", ip: ipv4("10.244.1.9"), namespace: "shop" },
    ],
  });
});

describe("a mistake is named with its flag and what to give instead", () => {
  test.each([
    [["--address", "192.168.56"], /--address "192\.168\.56" will not do; give an IPv4 address like/],
    [["--address", "10.0.0.2"], /--address must be a host's address in --segment 192\.168\.56\.0\/24/],
    [["--address", "192.168.56.255"], /--address must be a host's address/],
    [["--segment", "192.168.56.0"], /--segment .* a subnet like/],
    [["--name", "Node_1"], /--name "Node_1" .* a-z, 0-9/],
    [["--etcd", "127.0.0.1:2379"], /--etcd .* http:\/\/host:port/],
    [["--carrier", "pigeon"], /--carrier "pigeon" .* one of loopback, host/],
    [["--lease-ttl", "1"], /--lease-ttl "1" .* whole number of seconds from 2/],
    [["--mtu", "1e4"], /--mtu "1e4"/],
    [["--pod", "web=10.244.1"], /--pod "web=10\.244\.1" .* NAME or NAME=IP/],
    [
      ["--subnet", "10.244.7.0"],
      /--subnet "10\.244\.7\.0" will not do; give a subnet without host bits, like/,
    ],
    [["--subnet", "10.244.7.1/24"], /--subnet "10\.244\.7\.1\/24" .* without host bits/],
    [["--subnet", "10.244.7.0/33"], /--subnet/],
    [["--subnet", "10.244.256.0/24"], /--subnet/],
    [["--subnet", ""], /--subnet/],
    [["--log-level", "loud"], /--log-level "loud" .* trace, debug/],
    [["--nmae", "x"], /--nmae/],
    [["--cni", "cilium"], /--cni "cilium" .* one of flannel, calico/],
    [
      ["--cni", "calico", "--calico-version", "3.30"],
      /--calico-version "3\.30" .* one of 3\.31, 3\.32, 3\.33/,
    ],
    [["--cni", "calico", "--lease-ttl", "9"], /--lease-ttl is for --cni flannel; this node has --cni calico/],
    [
      ["--cni", "calico", "--subnet", "10.1.1.0/24", "--etcd-prefix", "/x"],
      /--etcd-prefix, --subnet are for/,
    ],
    [["--gateway", "192.168.56.1"], /--gateway is for --cni calico; this node has --cni flannel/],
    [["--cni", "calico", "--gateway", "10.0.0.1"], /--gateway must be a host's address in --segment/],
    [["--cni", "calico", "--gateway", "192.168.56.2"], /--gateway is the node's own --address/],
    [["--pod", "web@shop"], /--pod web@shop: namespaces are for --cni calico/],
    [["--cni", "calico", "--pod", "web@Shop"], /--pod "web@Shop" will not do/],
    [["--cni", "calico", "--pod", "web@shop=10.1.1.1"], /--pod "web@shop=10\.1\.1\.1" will not do/],
    [["stray"], /stray/],
    [["--state"], /--state/],
    [["--etcd-certfile", "x.pem"], /--etcd-certfile "x\.pem" cannot be read/],
    [["--etcd-username", "root"], /--etcd-username needs .* PODLOOM_ETCD_PASSWORD/],
  ])("%j", (argv, message) => {
    expect(() => parse(...argv)).toThrow(
      expect.objectContaining({
        code: "PL_USAGE",
        message: expect.stringMatching(message),
        remedy: expect.stringContaining("--help"),
      }),
    );
  });

  test("all that is missing at once", () => {
    expect(() => parseNodeConfig([], {})).toThrow(
      /--name is missing.*--address is missing.*--segment is missing.*--etcd is missing/,
    );
  });
});

test("user and password, and certificates, are passed on", () => {
  const folder = mkdtempSync(join(tmpdir(), "pl-conf-"));
  try {
    for (const name of ["ca", "cert", "key"]) writeFileSync(join(folder, name), name);
    const tls = [
      "--etcd",
      "https://e:2379",
      "--etcd-cafile",
      join(folder, "ca"),
      "--etcd-certfile",
      join(folder, "cert"),
    ];
    const argv = [...NEEDED, ...tls, "--etcd-keyfile", join(folder, "key"), "--etcd-username", "root"];
    const config = parseNodeConfig(argv, { PODLOOM_ETCD_PASSWORD: "pw" });
    expect(config?.etcd).toEqual({
      endpoints: ["https://e:2379"],
      auth: { username: "root", password: "pw" },
      tls: { ca: Buffer.from("ca"), cert: Buffer.from("cert"), key: Buffer.from("key") },
    });
    expect(() => parse(...tls)).toThrow(/--etcd-certfile and --etcd-keyfile go together/);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("--help asks for the text, which names every flag that is understood", () => {
  expect(parseNodeConfig(["--help"], {})).toBeUndefined();
  for (const flag of [
    "--name",
    "--etcd-keyfile",
    "--store-client",
    "--lease-margin",
    "--subnet",
    "--pod",
    "--log-file",
  ])
    expect(NODE_USAGE).toContain(flag);
});
