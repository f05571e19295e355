// One BFD session in a process of its own, for a namespace of its own. Bundled before it runs, since it is TypeScript below.
//
//   LOCAL REMOTE TIMERS     its arguments; timers as JSON
//   add TIMERS | configure TIMERS | del | status     a line of its input; each is answered with the status
//
// It prints a JSON object a line: `{ "status": … }` and, unasked, `{ "change": … }`. It ends with its input.
import { createInterface } from "node:readline";
import { formatIpv4, ipv4, parseIpv4 } from "../../src/base/ipv4-addr.ts";
import { BfdSide } from "./bfd-side.ts";

const [local, remote] = process.argv.slice(2, 4).map(ipv4);
const say = (value) => process.stdout.write(`${JSON.stringify(value)}\n`);
const side = await BfdSide.open(local, { carry: formatIpv4, uncarry: parseIpv4 });
side.onChange = () => say({ change: side.changes.at(-1) });
side.add(remote, JSON.parse(process.argv[4]));
say({ status: side.status(remote) });

for await (const line of createInterface({ input: process.stdin })) {
  const [command, json] = line.split(" ");
  if (command === "add" || command === "configure") side[command](remote, JSON.parse(json));
  if (command === "del") side.del(remote);
  const { discarded } = side.table.stats;
  say({ status: { ...side.status(remote), idle: side.table.idle, discarded, socket: side.socket.stats } });
}
await side.close();
