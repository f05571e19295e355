// What `podloom up` shows once the lab is up.

import { countOf } from "../base/count-of.ts";
import type { NodeRow } from "../control/inspect.ts";
import type { LabClient } from "../lab/lab-client.ts";
import { runningLabs } from "../lab/lab-lock.ts";
import type { LabStatus } from "../lab/lab-protocol.ts";
import { nodeAsNumbers } from "../lab/node-as-numbers.ts";
import type { PodAddress, Reachability } from "../measure/reachability.ts";
import type { CommandContext } from "./command-context.ts";
import { formatBytes } from "./format.ts";
import { listPods } from "./lab-view.ts";
import { printReachability } from "./reachability-view.ts";
import { tableLines } from "./table.ts";

/** How the lab's processes speak to the store, for people. */
const CLIENT_TEXTS = {
  slim: "slim, podloom's own gRPC on node:http2",
  etcd3: "etcd3, the npm package",
} as const;

/** Prints the node table, the reachability, where everything is and what to try next, to stdout. */
export async function printSummary(
  client: LabClient,
  reachability: Reachability | undefined,
  run: { readonly elapsed: string; readonly detached: boolean },
  cx: CommandContext,
): Promise<void> {
  const { terminal } = cx;
  const status = await client.ask("status", { withStore: false });
  const { rows } = await client.ask("get", { noun: "nodes" });
  const nodes = rows as NodeRow[];
  terminal.print("");
  const asNumbers = status.cni === "calico" ? await nodeAsNumbers(status.store) : new Map();
  for (const line of nodeTable(nodes, status.cni, asNumbers)) terminal.print(line);
  terminal.print("");
  if (reachability !== undefined) {
    printReachability(reachability, terminal);
    terminal.print("");
  }
  const pods = reachability?.pods ?? (await listPods(client)).pods;
  for (const line of placeLines(status, nodes, pods.length, run.elapsed)) terminal.print(line);
  terminal.print("");
  const program = programName(process.argv[1], cx.env);
  const selector = runningLabs(cx.env).length > 1 ? ` --lab ${status.name}` : "";
  terminal.print(
    terminal.style("out", "bold", run.detached ? "Try next:" : "Try next, in another terminal:"),
  );
  for (const line of suggestions(program, status, pods, selector)) terminal.print(`  ${line}`);
  terminal.print("");
  terminal.print(run.detached ? `${program} down ${status.name} stops it.` : "Ctrl-C stops everything.");
}

/** How this program was called, for commands to copy: what npx or `npm start` found is not on the PATH. */
export function programName(script: string | undefined, env: NodeJS.ProcessEnv): string {
  return script?.endsWith(".js") === true || env.npm_command === "exec" ? "npx podloom" : "podloom";
}

function nodeTable(
  nodes: readonly NodeRow[],
  cni: LabStatus["cni"],
  asNumbers: ReadonlyMap<string, number>,
): string[] {
  const memory = (bytes: number | undefined): string => (bytes === undefined ? "-" : formatBytes(bytes));
  const [heads, own]: [readonly string[], (node: NodeRow) => readonly string[]] =
    cni === "flannel"
      ? [["SUBNET", "VTEP-MAC"], (node) => [node.subnet ?? "-", node.vtepMac ?? "-"]]
      : [
          ["BLOCK", "AS", "ENCAPSULATION"],
          (node) => [
            node.subnet ?? "-",
            String(node.asNumber ?? asNumbers.get(node.name) ?? "-"),
            node.encapsulation ?? node.backend,
          ],
        ];
  const last = 3 + heads.length;
  return tableLines(
    ["NODE", "PID", "UNDERLAY", ...heads, "RSS", "PSS"],
    nodes.map((node) => [
      node.name,
      String(node.pid ?? "-"),
      node.underlay,
      ...own(node),
      memory(node.rssBytes),
      memory(node.pssBytes),
    ]),
    new Set([1, last, last + 1]),
  );
}

function placeLines(status: LabStatus, nodes: readonly NodeRow[], pods: number, elapsed: string): string[] {
  const pss = nodes.reduce((sum, node) => sum + (node.pssBytes ?? node.rssBytes ?? 0), 0);
  const routers = nodes.filter(({ role }) => role === "router" || role === "announcer").length;
  const beside = routers === 0 ? "" : ` and ${countOf(routers, "gateway process", "gateway processes")}`;
  const processes = countOf(nodes.length - routers, "node process", "node processes") + beside;
  return tableLines(undefined, [
    [
      "lab",
      `${status.name}: ${processes}, ${countOf(pods, "pod")}, ${formatBytes(pss)} of memory, up in ${elapsed}`,
    ],
    ["network", `${status.network} on ${status.backend}`],
    ["store", status.store.text],
    ["client", CLIENT_TEXTS[status.store.client]],
    ["logs", status.logs],
    ["control", status.socket],
  ]);
}

function suggestions(
  program: string,
  status: LabStatus,
  pods: readonly PodAddress[],
  selector: string,
): string[] {
  const [from] = pods;
  const to = pods.find((pod) => pod.node !== from?.node) ?? pods[1];
  const lines: string[] = [];
  if (from !== undefined && to !== undefined) {
    lines.push(`${program} exec${selector} ${from.name} -- ping -c 3 ${to.ip}`);
  }
  const node = status.nodes.find(({ role }) => role === "node")?.name ?? "";
  lines.push(`${program} exec${selector} node/${node} -- ip route`);
  if (status.cni === "calico") {
    lines.push(`${program} exec${selector} node/${node} -- calicoctl node status`);
    lines.push(`${program} ipam show${selector} --show-blocks`);
  }
  const endpoint = status.store.endpoints[0]?.replace("http://", "") ?? "";
  lines.push(`ETCDCTL_API=3 etcdctl --endpoints=${endpoint} get --prefix ${status.etcdPrefix}`);
  return lines;
}
