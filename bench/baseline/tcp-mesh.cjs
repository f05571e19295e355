// The least that one node of a BGP mesh can cost in Node: the same TCP connections by node:net, the same messages of the same length in
// the same order, and nothing behind them. It reads lengths and types, and knows no route.
//
//   node tcp-mesh.cjs I NODES PORT DIAL_MS SOCKET        DIAL_MS 0: it waits for all neighbours, and so do they
//
// Whoever connects to SOCKET gets one line of JSON: sessions that have begun, UPDATEs that came, and when the last of each did.
const { rmSync } = require("node:fs");
const { connect, createServer } = require("node:net");

const [i, nodes, port, dialMs] = process.argv.slice(2, 6).map(Number);
const socketPath = process.argv[6] ?? "";
const HEADER = 19;

/** @param {number} k */
const address = (k) => `127.0.${1 + Math.floor((k - 1) / 250)}.${1 + ((k - 1) % 250)}`;

/** @param {number} type @param {number} length */
function message(type, length) {
  const bytes = Buffer.alloc(length).fill(0xff, 0, 16);
  bytes.writeUInt16BE(length, 16);
  bytes[18] = type;
  return bytes;
}
const [OPEN, UPDATE, KEEPALIVE] = [message(1, 61), message(2, 53), message(4, HEADER)];
/** An UPDATE of one prefix, and End-of-RIB: written together, as a speaker does. */
const ROUTES = Buffer.concat([UPDATE, message(2, 23)]);

const seen = { established: 0, updates: 0, establishedAt: 0, updateAt: 0 };

/** @param {import("node:net").Socket} socket */
function talk(socket) {
  socket.setNoDelay(true);
  socket.setKeepAlive(true, 60_000);
  let begun = false;
  let rest = Buffer.alloc(0);
  socket.on("error", () => {});
  socket.on("data", (chunk) => {
    const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    let at = 0;
    for (; bytes.length - at >= HEADER; at += bytes.readUInt16BE(at + 16)) {
      const length = bytes.readUInt16BE(at + 16);
      if (bytes.length - at < length) break;
      const type = bytes[at + 18];
      if (type === OPEN[18]) socket.write(KEEPALIVE);
      else if (type === KEEPALIVE[18] && !begun) {
        begun = true;
        seen.established++;
        seen.establishedAt = Date.now();
        socket.write(ROUTES);
      } else if (type === UPDATE[18] && length === UPDATE.length) {
        seen.updates++;
        seen.updateAt = Date.now();
      }
    }
    rest = bytes.subarray(at);
  });
  socket.write(OPEN);
}

function dial() {
  for (let k = 1; k <= nodes; k++) {
    // The one with the greater address waits, as text: Calico's rule.
    if (k === i || address(k) > address(i)) continue;
    const socket = connect({ host: address(k), port, localAddress: address(i) });
    socket.once("connect", () => talk(socket));
  }
}

createServer(talk).listen({ host: address(i), port, backlog: 511 });
// One that was killed leaves it behind.
rmSync(socketPath, { force: true });
createServer((asker) => asker.end(`${JSON.stringify(seen)}\n`)).listen(socketPath);
if (dialMs > 0) setTimeout(dial, dialMs * (0.75 + Math.random() / 4));
