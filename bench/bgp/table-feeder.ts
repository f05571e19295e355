// A neighbour that dials, says what it has to say, and sees when a request behind it is answered. The same for every daemon.
import { connect, type Socket } from "node:net";
import { ipv4 } from "../../src/base/ipv4-addr.ts";
import { Family } from "../../src/wire/bgp/family.ts";
import { emitKeepalive, HEADER_LEN, MessageType, messageType } from "../../src/wire/bgp/header.ts";
import { MessageReader } from "../../src/wire/bgp/message-reader.ts";
import { OctetWriter, u16 } from "../../src/wire/bgp/octets.ts";
import { emitOpen } from "../../src/wire/bgp/open.ts";
import { emitRouteRefresh, RefreshSubtype } from "../../src/wire/bgp/route-refresh.ts";
import { HOLD_SEC, MESH_PORT, routerId, socketAddress } from "./mesh-plan.ts";
import { FEEDER_AS } from "./table-plan.ts";

const DIALS_MAX = 200;
const DIAL_AGAIN_MS = 50;

/** Node 2, which calls node 1. */
export class TableFeeder {
  readonly #socket: Socket;
  readonly #reader = new MessageReader();
  #onRoutes: () => void = () => {};
  #onEnd: (error: Error) => void = () => {};

  /** Dials until it is heard. Resolves when the other side has told its own route. */
  static async connect(): Promise<TableFeeder> {
    for (let attempt = 1; ; attempt++) {
      const socket = connect({ host: socketAddress(1), port: MESH_PORT, localAddress: socketAddress(2) });
      const called = await new Promise<boolean>((resolve) => {
        socket.once("connect", () => resolve(true));
        socket.once("error", () => resolve(false));
      });
      if (called) {
        const feeder = new TableFeeder(socket);
        await feeder.#say(openBytes());
        return feeder;
      }
      if (attempt === DIALS_MAX) throw new Error("nobody takes the call");
      await new Promise((resolve) => setTimeout(resolve, DIAL_AGAIN_MS));
    }
  }

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.setNoDelay(true);
    socket.on("data", (chunk) => this.#read(chunk));
    socket.on("error", () => {});
    socket.once("close", () => this.#onEnd(new Error("the session has ended")));
  }

  /** Says all of it, then asks for the routes of the other side. Resolves when they come. */
  async feed(table: Uint8Array): Promise<void> {
    const out = new OctetWriter();
    emitRouteRefresh(out, { family: Family.IPV4_UNICAST, subtype: RefreshSubtype.REQUEST });
    const answered = this.#say(table);
    this.#socket.write(out.take());
    await answered;
  }

  close(): void {
    this.#socket.destroy();
  }

  #say(bytes: Uint8Array): Promise<void> {
    const heard = new Promise<void>((resolve, reject) => {
      this.#onRoutes = resolve;
      this.#onEnd = reject;
    });
    this.#socket.write(bytes);
    return heard;
  }

  #read(chunk: Uint8Array): void {
    this.#reader.push(chunk);
    for (let message = this.#reader.next(); message !== undefined; message = this.#reader.next()) {
      const type = messageType(message);
      if (type === MessageType.NOTIFICATION) {
        this.#onEnd(
          new Error(`the daemon complains: NOTIFICATION ${message[HEADER_LEN]}/${message[HEADER_LEN + 1]}`),
        );
      } else if (type === MessageType.UPDATE && announces(message)) {
        this.#onRoutes();
      }
    }
  }
}

/** Does an UPDATE bring IPv4 routes? End-of-RIB does not. */
function announces(message: Uint8Array): boolean {
  const attributesAt = HEADER_LEN + 2 + u16(message, HEADER_LEN);
  return message.length > attributesAt + 2 + u16(message, attributesAt);
}

/** OPEN, and the KEEPALIVE that says yes to the other side's. */
function openBytes(): Uint8Array {
  const out = new OctetWriter();
  emitOpen(out, {
    myAs: FEEDER_AS,
    holdTimeSec: HOLD_SEC,
    bgpId: ipv4(routerId(2)),
    capabilities: [
      { t: "multiprotocol", family: Family.IPV4_UNICAST },
      { t: "route-refresh" },
      { t: "four-octet-as", as: FEEDER_AS },
    ],
  });
  emitKeepalive(out);
  return out.take();
}
