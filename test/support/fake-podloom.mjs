// Stands in for `podloom node` and `podloom router` where a test wants one that misbehaves; each writes the arguments that it was
// given to its state folder. `store` is the real embedded store. Plain
// JavaScript over the built rooms, because it runs as a process of its own. What each node does comes in FAKE_NODES:
//   { "node2": { "exitCode": 5, "log": { … }, "afterMs": 50, "lives": 2, "deaf": true, "token": "wrong", "state": { … } } }
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { connectIpc } from "../../dist/io/ipc/client.js";

const [program, ...argv] = process.argv.slice(2);
if (program === "store") await import("../../dist/bundle/store.js");
else await node(argv);

/** What a node is told by flags, and a router by its file. */
function toldBy(args) {
  const [name, state, control, file] = ["--name", "--state", "--control", "-f"].map(
    (flag) => args[args.indexOf(flag) + 1],
  );
  if (program !== "router") return { name, state, control };
  return { name: JSON.parse(readFileSync(file, "utf8")).name, state: dirname(file), control };
}

async function node(args) {
  const { name, state, control } = toldBy(args);
  const behaviour = JSON.parse(process.env.FAKE_NODES ?? "{}")[name] ?? {};
  const life = countLives(state);
  writeFileSync(join(state, "argv.json"), JSON.stringify([program, ...args]));
  const sick = behaviour.exitCode !== undefined && life <= (behaviour.lives ?? Number.POSITIVE_INFINITY);
  if (behaviour.deaf) process.on("SIGTERM", () => {});
  if (sick) {
    setTimeout(() => {
      if (behaviour.log !== undefined) process.stderr.write(`${JSON.stringify(behaviour.log)}\n`);
      process.exit(behaviour.exitCode);
    }, behaviour.afterMs ?? 0);
    if (!behaviour.afterMs) return;
  }
  const pods = args.flatMap((arg, i) => (args[i - 1] === "--pod" ? [arg.split("=")[0]] : []));
  const connection = await connectIpc(control, {
    from: name,
    token: behaviour.token ?? process.env.PODLOOM_TOKEN,
    onRequest: (request) => answer(request, behaviour, name, life),
    onClosed: () => process.exit(0),
  });
  const phase = behaviour.phase ?? "ready";
  const plain = { name, pid: process.pid, phase, leases: [], store: "Synced", pods };
  connection.notify("state", { ...plain, ...behaviour.state });
}

function answer(request, behaviour, name, life) {
  switch (request.verb) {
    case "stop":
      if (behaviour.deaf) return;
      request.done({});
      process.exit(0);
      return;
    case "get":
      request.done([
        { name, status: "Ready", underlay: "", backend: "fake", pods: 0, peers: 0, routes: life },
      ]);
      return;
    case "exec":
      // `exit N`: it dies, at the moment that the test chose.
      if (request.args.argv[0] === "exit") process.exit(Number(request.args.argv[1]));
      request.chunk("stdout", `${request.args.pod}: ${request.args.argv.join(" ")}\n`);
      request.chunk("stderr", "warned\n");
      request.onInterrupt = () => request.done({ exitCode: 130 });
      if (request.args.argv[0] !== "wait") request.done({ exitCode: 7 });
      return;
    default:
      request.fail(new Error(`unknown verb ${request.verb}`));
  }
}

function countLives(state) {
  mkdirSync(state, { recursive: true });
  const file = join(state, "lives");
  const life = existsSync(file) ? Number(readFileSync(file, "utf8")) + 1 : 1;
  writeFileSync(file, String(life));
  return life;
}
