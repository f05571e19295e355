// Each lab of examples/ as it stands: it comes up, every pair of pods is reachable, and the commands that its comment names run and say
// what the comment says. The seeds' own tables are compared line by line elsewhere.
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { Sandbox } from "../support/e2e-lab.ts";

const FOLDER = fileURLToPath(new URL("../../examples/", import.meta.url));
const EXAMPLES = readdirSync(FOLDER).filter((file) => file.endsWith(".yaml"));

/** What the comments promise, by command. */
const PROMISED: Readonly<Record<string, readonly RegExp[]>> = {
  "calico-announcer.yaml: get nodes": [/^announcer1 /m, /^gw1 /m],
  "calico-announcer.yaml: exec router/gw1 -- ip route": [/^192\.168\.\d+\.\d+\/26 via .* proto bird/m],
  "calico-cross-subnet.yaml: exec node/node1 -- ip route": [
    /^192\.168\.\d+\.\d+\/26 via \S+ dev eth0 proto bird/m,
    /(^192\.168\.\d+\.\d+\/26 via \S+ dev tunl0 proto bird onlink *\n?){2}/m,
  ],
  "calico-ipip.yaml: exec node/node1 -- ip route": [
    /^192\.168\.\d+\.\d+\/26 via 10\.20\.0\.6 dev tunl0 proto bird onlink/m,
  ],
  "calico-ipip.yaml: exec node/node1 -- calicoctl node status": [/Established/],
  "calico-ipip.yaml: ipam show --show-blocks": [/\| Block +\| 192\.168\./],
  "calico-no-encap.yaml: exec ca -- ip route": [/^default via 169\.254\.1\.1 dev eth0/m],
  "calico-no-encap.yaml: exec ca -- ping -c 3 192.168.196.129": [/3 received, 0% packet loss/],
  "calico-ipip-walk.yaml: exec pod144 -- ping -c 3 192.168.135.163": [/3 received, 0% packet loss/],
  "calico-route-reflectors.yaml: exec node/node1 -- calicoctl node status": [/Established/],
  "calico-tor.yaml: exec router/tor1 -- ip route": [/^192\.168\.\d+\.\d+\/26 via 10\.20\.0\.\d+ /m],
  "calico-tor.yaml: exec node/node1 -- ip route": [/^192\.168\.\d+\.\d+\/26 via 10\.20\.0\.1 /m],
  "calico-two-tors.yaml: exec node/node1 -- ip route": [
    /^\tnexthop via 10\.20\.0\.1 dev eth0 weight 1 *\n\tnexthop via 10\.20\.0\.2 dev eth0 weight 1 *$/m,
  ],
  "calico-vxlan.yaml: exec node/node1 -- ip route": [
    /(^192\.168\.\d+\.\d+\/26 via 192\.168\.\S+ dev vxlan\.calico proto 80 onlink *\n?){2}/m,
  ],
  "calico-vxlan.yaml: exec node/node1 -- bridge fdb": [/ dev vxlan\.calico dst \S+ self permanent/],
};

let box: Sandbox;
beforeEach(() => {
  box = new Sandbox();
});
afterEach(() => box.dispose());

/** The commands of an example's comment, after the first, which brings it up. */
function commandsOf(file: string): string[][] {
  const text = readFileSync(FOLDER + file, "utf8");
  const lines = [...text.matchAll(/^# +npx podloom (.*?)(?: {2,}#.*)?$/gm)].map(([, line = ""]) =>
    line.trim(),
  );
  expect(lines[0]?.replace(/ -d$/, ""), file).toBe(`up -f examples/${file}`);
  // A word in capitals stands for something that only the run tells.
  const whole = lines.slice(1).filter((line) => !/\b[A-Z]{3,}\b/.test(line));
  return whole.map((line) => line.split(/\s+/));
}

describe("examples", () => {
  test.each(EXAMPLES)("%s", async (file) => {
    const commands = commandsOf(file);
    const up = await box.ok("up", "-f", FOLDER + file, "-d");
    const [, reachable, pairs] =
      /(\d+)\/(\d+) ordered pod pairs reachable, 0 of \d+ pings lost/.exec(up) ?? [];
    expect(reachable, up).toBe(pairs);
    expect(Number(pairs), up).toBeGreaterThan(0);
    for (const command of commands) {
      const shown = await box.ok(...command);
      const promised = PROMISED[`${file}: ${command.join(" ")}`] ?? [];
      for (const pattern of promised) expect(shown, command.join(" ")).toMatch(pattern);
    }
    await box.ok("down");
    expect(box.processes()).toEqual([]);
  });

  test("each promise is one that an example makes", () => {
    const made = EXAMPLES.flatMap((file) =>
      commandsOf(file).map((command) => `${file}: ${command.join(" ")}`),
    );
    expect(made).toEqual(expect.arrayContaining(Object.keys(PROMISED)));
  });
});
