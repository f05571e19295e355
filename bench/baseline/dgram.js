// The baseline of the packet benchmarks: bare `node:dgram` sockets, the fastest that a Node process can do without podloom.
//   node dgram.js receive ADDRESS PORT            counts until a line on stdin, then prints {"received", "bytes", "cpuUs", "spanUs"}
//   node dgram.js send FROM TO PORT SIZE SECONDS  at most 32 datagrams a turn of the loop, as podloom sends; prints {"sent"}
//   node dgram.js echo ADDRESS PORT               sends every datagram back, until stdin ends
//   node dgram.js rtt FROM TO PORT SIZE COUNT     one at a time, prints {"rttUs": […]}
import { createSocket } from "node:dgram";

const [role, ...args] = process.argv.slice(2);
const lookup = (host, _options, done) => done(null, host, 4);
const socket = createSocket({ type: "udp4", lookup });
const nowUs = () => Math.round(performance.now() * 1000);
const bind = (address, port) =>
  new Promise((resolve) => {
    socket.bind(port, address, () => {
      socket.setRecvBufferSize(4 << 20);
      socket.setSendBufferSize(4 << 20);
      resolve();
    });
  });
const say = (value) => process.stdout.write(`${JSON.stringify(value)}\n`);

if (role === "receive") {
  let received = 0;
  let bytes = 0;
  let first = 0;
  let last = 0;
  socket.on("message", (message) => {
    last = nowUs();
    if (received === 0) first = last;
    received++;
    bytes += message.length;
  });
  await bind(args[0], Number(args[1]));
  say({ ready: true });
  process.stdin.once("data", () => {
    const { user, system } = process.cpuUsage();
    say({ received, bytes, cpuUs: user + system, spanUs: last - first });
    socket.close();
    process.stdin.destroy();
  });
} else if (role === "send") {
  const [from, to, port, size, seconds] = args;
  await bind(from, 0);
  const payload = new Uint8Array(Number(size));
  const end = nowUs() + Number(seconds) * 1e6;
  let sent = 0;
  let pending = 0;
  const done = () => {
    pending--;
  };
  const turn = () => {
    for (let i = 0; i < 32 && pending < 256; i++) {
      pending++;
      sent++;
      socket.send(payload, Number(port), to, done);
    }
    if (nowUs() < end) setImmediate(turn);
    else
      setTimeout(() => {
        const { user, system } = process.cpuUsage();
        say({ sent, cpuUs: user + system });
        socket.close();
      }, 200);
  };
  turn();
} else if (role === "echo") {
  socket.on("message", (message, from) => socket.send(message, from.port, from.address));
  await bind(args[0], Number(args[1]));
  say({ ready: true });
  process.stdin.on("data", () => {}).once("end", () => socket.close());
} else if (role === "rtt") {
  const [from, to, port, size, count] = args;
  await bind(from, 0);
  const rttUs = [];
  const payload = new Uint8Array(Number(size));
  let at = 0;
  const next = () => {
    if (rttUs.length === Number(count)) {
      say({ rttUs });
      socket.close();
      return;
    }
    at = performance.now();
    socket.send(payload, Number(port), to);
  };
  socket.on("message", () => {
    rttUs.push((performance.now() - at) * 1000);
    // Spaced, as ping is: a busy loop would measure a warm cache only.
    setTimeout(next, 2);
  });
  next();
} else {
  process.stderr.write(`dgram.js: unknown role ${role}\n`);
  process.exitCode = 2;
}
