import { describe, expect, test } from "vitest";
import { complaintsOf, SPEAKER_HEAD as HEAD } from "../../../support/speaker-text.ts";

// Each complaint names file:line:col, the key and what is wrong; the second line says what to do.
const CASES: readonly {
  readonly name: string;
  readonly text: string;
  readonly want: readonly (string | RegExp)[];
}[] = [
  {
    name: "empty",
    text: "# nothing\n",
    want: [/^sp.yaml:1:1: the speaker's file is empty\n {2}The smallest has/],
  },
  { name: "a list", text: "- a\n", want: [/^sp.yaml:1:1: must be a map of keys, not a list\n/] },
  {
    name: "bad YAML",
    text: `${HEAD}neighbors: [a\nb: c\n`,
    want: [/^sp.yaml:\d+:\d+: .*\n {2}Correct the YAML/],
  },
  { name: "a key twice", text: `${HEAD}as: 1\n`, want: [/^sp.yaml:6:1: Map keys must be unique/] },
  {
    name: "two documents",
    text: `${HEAD}---\n${HEAD}`,
    want: [
      "sp.yaml:6:1: a speaker's file is one YAML document, without a second `---`\n  Correct the YAML; indentation is by spaces, and a list item starts with `- `.",
    ],
  },
  {
    name: "JSON in which a key stands twice, and something else is wrong",
    text: '{"apiVersion": "podloom/v1", "kind": "BGPSpeaker", "as": 1, "as": 2, "routerId": "x"}',
    want: [/^sp.yaml:1:61: Map keys must be unique/],
  },
  {
    name: "JSON in which a key stands twice, and what goes wrong later",
    text: '{"apiVersion": "podloom/v1", "kind": "BGPSpeaker", "as": 1, "as": 2, "routerId": "10.0.0.1",\n"neighbors": [{"address": "10.0.0.1", "as": 1}]}',
    want: [/^sp.yaml:1:61: Map keys must be unique/],
  },
  {
    name: "JSON that is wrong is shown where it stands, too",
    text: '{"apiVersion": "podloom/v1", "kind": "BGPSpeaker",\n "as": 0, "routerId": "10.0.0.1"}',
    want: ["sp.yaml:2:8: as: must be at least 1, not 0\n  Write a whole number from 1 to 4294967295."],
  },
  {
    name: "no AS and no identifier",
    text: "apiVersion: podloom/v1\nkind: BGPSpeaker\n",
    want: [
      "sp.yaml:1:1: as: is missing\n  Add the key: a whole number from 1 to 4294967295.",
      "sp.yaml:1:1: routerId: is missing\n  Add the key: text like 10.0.0.1.",
    ],
  },
  {
    name: "a lab file",
    text: "apiVersion: podloom/v1\nnodes: { count: 3 }\nas: 1\nrouterId: 10.0.0.1\n",
    want: [
      "sp.yaml:1:1: kind: is missing\n  Add the key: BGPSpeaker.",
      /^sp.yaml:2:1: nodes: unknown key "nodes"\n {2}The keys of a speaker's file are: apiVersion, kind, /,
    ],
  },
  {
    name: "unknown keys, each where it stands",
    text: `${HEAD}neighbours: []\nnetwork: []\ndecision: { med: 1 }\n`,
    want: [
      'sp.yaml:6:1: neighbours: unknown key "neighbours"\n  Did you mean "neighbors"?',
      'sp.yaml:7:1: network: unknown key "network"\n  Did you mean "networks"?',
      'sp.yaml:8:13: decision.med: unknown key "med"\n  The keys of decision are: alwaysCompareMed, missingMedWorst, preferOldest, multipathMax, multipathRelax.',
    ],
  },
  {
    name: "AS_TRANS is nobody's",
    text: HEAD.replace("64512", "23456"),
    want: [/^sp.yaml:3:5: as: must be an AS number of somebody: 23456 is AS_TRANS, not 23456\n/],
  },
  {
    name: "an identifier of zero, an address that no node has",
    text: `${HEAD.replace("10.0.1.1", "0.0.0.0")}address: 224.0.0.5\naddress6: ff02::1\n`,
    want: [
      'sp.yaml:4:11: routerId: must be an identifier like 10.0.0.1, not 0.0.0.0, not "0.0.0.0"\n  Write text like 10.0.0.1.',
      'sp.yaml:6:10: address: must be an address that a node can have, not "224.0.0.5"\n  Write text like 10.0.1.1.',
      'sp.yaml:7:11: address6: must be an IPv6 address of a node, not "ff02::1"\n  Write text like fd00::1.',
    ],
  },
  {
    name: "a carrier that there is not",
    text: HEAD.replace("loopback", "pigeon"),
    want: [
      /^sp.yaml:5:10: carrier: must be host or loopback, not "pigeon"\n {2}Write host or loopback. host: the addresses are/,
    ],
  },
  {
    name: "an address that the loopback carrier cannot carry",
    text: `${HEAD}address: 10.0.0.1\n`,
    want: [
      /^sp.yaml:6:10: address: the underlay address 10.0.0.1 would be carried on 127.0.0.1, .*\n {2}Give the node another/,
    ],
  },
  {
    name: "two addresses that the loopback carrier cannot tell apart",
    text: `${HEAD}neighbors:\n  - { address: 192.0.1.1, as: 1 }\n`,
    want: [
      /^sp.yaml:7:16: neighbors\[0\].address: the underlay addresses 10.0.1.1 and 192.0.1.1 are both carried on 127.0.1.1\n {2}Change one/,
    ],
  },
  {
    name: "our own address as a neighbor",
    text: `${HEAD}neighbors:\n  - { name: me, address: 10.0.1.1, as: 1 }\n`,
    want: ["sp.yaml:7:26: neighbors[0].address: 10.0.1.1 is our own address\n  Write the neighbor's."],
  },
  {
    name: "an address twice, a name twice",
    text: `${HEAD}neighbors:\n  - { name: a, address: 10.0.1.2, as: 1 }\n  - { name: a, address: 10.0.1.2, as: 1 }\nranges:\n  - { name: a, prefix: 10.0.2.0/24, as: any }\n`,
    want: [
      'sp.yaml:8:13: neighbors[1].name: neighbors[0] is called "a" already\n  Give one of them another name.',
      "sp.yaml:8:25: neighbors[1].address: neighbors[0] has the address 10.0.1.2 already\n  A neighbor stands in the list once: take one of them out.",
      'sp.yaml:10:13: ranges[0].name: neighbors[0] is called "a" already\n  Give one of them another name.',
    ],
  },
  {
    name: "a neighbor without an AS, though its template is there",
    text: `${HEAD}templates: { t: { passive: true } }\nneighbors:\n  - { address: 10.0.1.2, template: t }\n`,
    want: [
      "sp.yaml:8:5: neighbors[0].as: is missing, and no template has it\n  Add the key: an AS number, internal, external, any, or a list of numbers.",
    ],
  },
  {
    name: "a template that there is not, alone",
    text: `${HEAD}templates: { leaf: { as: any } }\nneighbors:\n  - { address: 10.0.1.2, template: leef }\n`,
    want: ['sp.yaml:8:36: neighbors[0].template: there is no template "leef"\n  Did you mean "leaf"?'],
  },
  {
    name: "policies that there are not; in a template it is told once",
    text: `${HEAD}templates: { t: { as: any, export: from-leaf } }\npolicies: { from-leafs: { default: accept } }\nneighbors:\n  - { address: 10.0.1.2, template: t, import: secret-sauce }\n  - { address: 10.0.1.3, template: t }\n`,
    want: [
      'sp.yaml:6:36: templates.t.export: there is no policy "from-leaf"\n  Did you mean "from-leafs"?',
      'sp.yaml:9:47: neighbors[0].import: there is no policy "secret-sauce"\n  There are: from-leafs, all, none.',
    ],
  },
  {
    name: "a policy with a name of podloom's, and one that no file can have",
    text: `${HEAD}policies:\n  all: { default: accept }\n  From Leafs: { default: accept }\n`,
    want: [
      /^sp.yaml:8:3: policies.From Leafs: the name must be 1 to 63 lower-case letters, .*\n {2}Give it another name\.$/,
    ],
  },
  {
    name: "a policy with a name of podloom's",
    text: `${HEAD}policies:\n  all: { default: accept }\n`,
    want: [/^sp.yaml:7:8: policies.all: "all" is there already: it is one of podloom's own\n/],
  },
  {
    name: "prefixes in a policy",
    text: `${HEAD}policies:\n  p:\n    default: reject\n    rules:\n      - match: { prefixes: [10.0.0.0/8 ge 4, 10.0.0.0/8 le 33, 10.0.0.0/8 le 9 le 10, 10.0.0.1/8, ten] }\n`,
    want: [
      /^sp.yaml:10:29: policies.p.rules\[0\].match.prefixes\[0\]: must name lengths from 8 to 32, the smaller one after "ge", not "10.0.0.0\/8 ge 4"\n {2}Write text like 10.0.0.0\/8 ge 24 le 28/,
      /^sp.yaml:10:46: policies.p.rules\[0\].match.prefixes\[1\]: must name lengths from 8 to 32/,
      /^sp.yaml:10:64: policies.p.rules\[0\].match.prefixes\[2\]: must be a prefix, then perhaps "ge" and "le"/,
      /^sp.yaml:10:87: policies.p.rules\[0\].match.prefixes\[3\]: must have no bits set beyond its length: the prefix is 10.0.0.0\/8/,
      /^sp.yaml:10:99: policies.p.rules\[0\].match.prefixes\[4\]: must be a prefix with its length/,
    ],
  },
  {
    name: "communities of all kinds",
    text: `${HEAD}policies:\n  p:\n    default: reject\n    rules:\n      - match: { communities: 65536:1, largeCommunities: "1:2", extCommunities: [rt] }\n        set: { communities: { add: [nonsense] } }\n`,
    want: [
      /^sp.yaml:10:31: policies.p.rules\[0\].match.communities: must be a community like 64512:100 or no-export, not "65536:1"\n {2}Write .*text like 64512:100/,
      /^sp.yaml:10:58: policies.p.rules\[0\].match.largeCommunities: must be a large community like 64512:1:2, not "1:2"/,
      /^sp.yaml:10:82: policies.p.rules\[0\].match.extCommunities\[0\]: must be an extended community like rt:64512:1, not "rt"/,
      /^sp.yaml:11:37: policies.p.rules\[0\].set.communities.add\[0\]: must be a community/,
    ],
  },
  {
    name: "an AS path expression that cannot be, and ranges upside down",
    text: `${HEAD}policies:\n  p:\n    default: reject\n    rules:\n      - match: { asPath: "_(64512_", med: { min: 5, max: 4 } }\n`,
    want: [
      /^sp.yaml:10:26: policies.p.rules\[0\].match.asPath: AS path expression "_\(64512_": .*\n {2}Correct it\.$/,
      /^sp.yaml:10:43: policies.p.rules\[0\].match.med: .*from 5 to 4: there is none\n {2}Correct it\.$/,
    ],
  },
  {
    name: "a source that is no neighbor",
    text: `${HEAD}policies: { p: { default: accept, rules: [{ match: { source: spine }, action: reject }] } }\n`,
    want: [
      'sp.yaml:6:62: policies.p.rules[0].match.source: there is no neighbor "spine"\n  Write local, internal, external, rr-client, or the name of a neighbor.',
    ],
  },
  {
    name: "what only one direction has",
    text: `${HEAD}policies:\n  p: { default: accept, rules: [{ set: { weight: 5 } }, { set: { nextHop: self } }] }\nneighbors: [{ name: n, address: 10.0.1.2, as: any, import: p, export: p }]\n`,
    want: [
      /^sp.yaml:7:40: policies.p.rules\[0\].set: a weight is local to this speaker.*\n {2}It is the export policy of n/,
      /^sp.yaml:7:64: policies.p.rules\[1\].set: next hop self is for export alone.*\n {2}It is the import policy of n/,
    ],
  },
  {
    name: "a reflector's client in another AS",
    text: `${HEAD}templates: { c: { rrClient: true } }\nneighbors:\n  - { address: 10.0.1.2, as: 64513, template: c }\n  - { address: 10.0.1.3, as: 64512, template: c }\n`,
    want: [
      "sp.yaml:6:29: templates.c.rrClient: only a neighbor in our own AS, 64512, can be a client of a route reflector\n  Take it out, or correct neighbors[0].as.",
    ],
  },
  {
    name: "options that need another",
    text: `${HEAD}neighbors:\n  - { address: 10.0.1.2, as: any, addPathMax: 4, addPath: receive, families: [ipv6], extendedNextHop: true, errorWaitSec: [9, 3] }\n`,
    want: [
      /^sp.yaml:7:47: neighbors\[0\].addPathMax: several paths are not sent without addPath\n {2}Add addPath: send/,
      /^sp.yaml:7:103: neighbors\[0\].extendedNextHop: is about IPv4 routes.*\n {2}Add ipv4 to families/,
      "sp.yaml:7:123: neighbors[0].errorWaitSec: the longest wait, 3 s, is shorter than the first, 9 s\n  Write [3, 9].",
    ],
  },
  {
    name: "hold times",
    text: `${HEAD}neighbors:\n  - { address: 10.0.1.2, as: any, holdTimeSec: 2 }\n  - { address: 10.0.1.3, as: any, holdTimeSec: 65536 }\n`,
    want: [
      /^sp.yaml:7:48: neighbors\[0\].holdTimeSec: must be 0, or at least 3, not 2\n {2}Write a whole number from 0 to 65535/,
      /^sp.yaml:8:48: neighbors\[1\].holdTimeSec: must be at most 65535, not 65536\n/,
    ],
  },
  {
    name: "a password is not shown",
    text: `${HEAD}neighbors:\n  - { address: 10.0.1.2, as: any, password: ${"hush".repeat(21)} }\n`,
    want: [/^sp.yaml:7:45: neighbors\[0\].password: must have at most 80 characters, not what it has\n/],
  },
  {
    name: "what a range cannot have",
    text: `${HEAD}templates: { t: { password: hush } }\nranges:\n  - { name: r, prefix: 10.0.2.0/24, as: any, passive: true, template: t }\n  - { name: s, prefix: 10.0.2.0/24, as: any }\n  - { name: u, prefix: fd00::/8, as: any }\n`,
    want: [
      /^sp.yaml:10:24: ranges\[2\].prefix: must be an IPv4 prefix, not "fd00::\/8"\n {2}Write text like 10.0.2.0\/24/,
    ],
  },
  {
    name: "what a range cannot have, once it can be read",
    text: `${HEAD}templates: { t: { password: hush } }\nranges:\n  - { name: r, prefix: 10.0.2.0/24, as: any, passive: true, template: t }\n  - { name: s, prefix: 10.0.2.0/24, as: any, ttlSecurityHops: 1 }\n`,
    want: [
      /^sp.yaml:6:29: templates.t.password: a range cannot have a password.*\n {2}Name the neighbors one by one/,
      /^sp.yaml:8:55: ranges\[0\].passive: says nothing here.*\n {2}Take it out\.$/,
      "sp.yaml:9:24: ranges[1].prefix: ranges[0] is 10.0.2.0/24 already\n  A prefix stands in the list once: take one of them out.",
      /^sp.yaml:9:\d+: ranges\[1\].ttlSecurityHops: a range cannot have a bound on hops.*\n {2}Name the neighbors one by one/,
    ],
  },
  {
    name: "networks",
    text: `${HEAD}networks:\n  - 10.244.1.5/24\n  - { prefix: 10.244.2.0/24, med: -1 }\n  - fd00::/200\n`,
    want: [
      /^sp.yaml:7:5: networks\[0\]: must have no bits set beyond its length: the prefix is 10.244.1.0\/24, not "10.244.1.5\/24"\n/,
      /^sp.yaml:8:35: networks\[1\].med: must be at least 0, not -1\n {2}Write a whole number from 0 to 4294967295\.$/,
      /^sp.yaml:9:5: networks\[2\]: must have a length of 0 to 128, not "fd00::\/200"\n/,
    ],
  },
  {
    name: "networks that nobody could be told",
    text: `${HEAD}networks:\n  - 10.244.1.0/24\n  - fd00::/64\n  - { prefix: fd01::/64, nextHop: 10.0.0.9 }\n  - { prefix: 10.244.1.0/24, med: 1 }\n`,
    want: [
      "sp.yaml:8:5: networks[1]: nobody can be told an IPv6 network without an IPv6 next hop\n  Write our own IPv6 address as address6, or a nextHop here.",
      "sp.yaml:9:5: networks[2]: an IPv6 network has an IPv4 next hop\n  Write an IPv6 address as its nextHop.",
      "sp.yaml:10:5: networks[3]: networks[0] is 10.244.1.0/24 already\n  A network stands in the list once: take one of them out.",
    ],
  },
  {
    name: "where to listen",
    text: `${HEAD}listen: { addresses: [10.0.1.1, 10.0.1.1, 10.0.0.0] }\nmetrics: localhost:9179\n`,
    want: [
      /^sp.yaml:7:10: metrics: must be an address and a port like 127.0.0.1:9179, not "localhost:9179"\n/,
    ],
  },
  {
    name: "where to listen, twice",
    text: `${HEAD}listen: { addresses: [10.0.1.1, 10.0.1.1] }\n`,
    want: ["sp.yaml:6:33: listen.addresses[1]: 10.0.1.1 is in the list twice\n  Take one of them out."],
  },
  {
    name: "deep enough to kill a parser",
    text: `${HEAD}networks: ${"[".repeat(5000)}\n`,
    want: [/^sp.yaml:6:111: more than 100 lists and maps are in one another here\n/],
  },
  {
    name: "nested items on one line",
    text: `${HEAD}${"? ".repeat(300)}\n`,
    want: [/^sp.yaml:6:1: more than 100 lists and maps are in one another here\n/],
  },
  {
    name: "an alias bomb",
    text: `${HEAD}a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: [*c,*c,*c,*c,*c,*c,*c,*c,*c]\n`,
    want: [/Excessive alias count/],
  },
  {
    name: "keys of the prototype",
    text: `${HEAD}__proto__: { as: 1 }\n`,
    want: [/^sp.yaml:6:1: __proto__: unknown key "__proto__"/],
  },
  {
    name: "keys of the prototype in JSON",
    text: '{"apiVersion":"podloom/v1","kind":"BGPSpeaker","as":1,"routerId":"10.0.0.1","neighbors":[{"address":"10.0.0.2","template":"constructor","import":"constructor"}]}',
    want: [
      /neighbors\[0\].template: there is no template "constructor"\n {2}There are none: write one under `templates`\.$/,
    ],
  },
];

describe("a speaker's file that is wrong", () => {
  test.each(CASES)("$name", async ({ text, want }) => {
    const complaints = await complaintsOf(text);
    expect(complaints, complaints.join("\n")).toHaveLength(want.length);
    for (const [i, expected] of want.entries()) {
      if (typeof expected === "string") expect(complaints[i]).toBe(expected);
      else expect(complaints[i]).toMatch(expected);
      // Position, key and remedy, whatever they say.
      expect(complaints[i]).toMatch(/^sp\.yaml:\d+:\d+: [^\n]+\n {2}[A-Z`].*[.?`]$/);
    }
  });

  test("a file that is too large is not read", async () => {
    const complaints = await complaintsOf(`${HEAD}# ${"x".repeat(8 * 1024 * 1024)}\n`);
    expect(complaints).toEqual([
      expect.stringMatching(/^sp.yaml: the file is larger than 8 MiB\n {2}The smallest/),
    ]);
  });
});
