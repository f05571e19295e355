import type { ServerDuplexStream, UntypedServiceImplementation } from "@grpc/grpc-js";
import { eventOut, unlessZero, watchRequest } from "./convert.ts";
import type { WatchRequestIn, WatchResponseOut } from "./rpc-messages.ts";
import { type ServiceContext, STOPPED } from "./service-context.ts";
import type { WatchResponse } from "./watch-hub.ts";

/** A message that is encoded already; `server.ts` passes it through. */
export class EncodedMessage {
  readonly bytes: Buffer;

  constructor(bytes: Buffer) {
    this.bytes = bytes;
  }
}

/** Turns a message into its bytes. */
export type Encode = (message: WatchResponseOut) => Buffer;

type WatchCall = ServerDuplexStream<WatchRequestIn, EncodedMessage>;

/** etcdserverpb.Watch. */
export function watchService(context: ServiceContext, encode: Encode): UntypedServiceImplementation {
  const encoder = new FanOutEncoder(context, encode);
  return { Watch: (call: WatchCall) => serveWatch(context, encoder, call) };
}

/**
 * Encodes a response once for all the clients that get the same one: most watch one prefix, and the first watcher of each
 * stream has id 0.
 */
class FanOutEncoder {
  readonly #context: ServiceContext;
  readonly #encode: Encode;
  #last: WatchResponse | undefined;
  #lastMessage: EncodedMessage | undefined;

  constructor(context: ServiceContext, encode: Encode) {
    this.#context = context;
    this.#encode = encode;
  }

  encode(response: WatchResponse): EncodedMessage {
    const last = this.#last;
    // Events make a response the same: control responses have none, and are not kept.
    const same =
      last !== undefined &&
      last.events === response.events &&
      last.watchId === response.watchId &&
      last.revision === response.revision &&
      last.fragment === response.fragment;
    if (same && this.#lastMessage !== undefined) return this.#lastMessage;
    const message = new EncodedMessage(
      this.#encode({
        header: this.#context.header(response.revision),
        watch_id: unlessZero(response.watchId),
        created: response.created,
        canceled: response.canceled,
        compact_revision: response.compactRevision,
        cancel_reason: response.cancelReason,
        fragment: response.fragment,
        events: response.events.map(eventOut),
      }),
    );
    if (response.events.length > 0) {
      this.#last = response;
      this.#lastMessage = message;
    }
    return message;
  }
}

function serveWatch(context: ServiceContext, encoder: FanOutEncoder, call: WatchCall): void {
  const stream = context.store.hub.open({
    send(response) {
      const more = call.write(encoder.encode(response));
      // Who does not read is not listened to either, so that requests cannot pile up answers.
      if (!more) call.pause();
      return more;
    },
  });
  const stop = (): void => {
    close();
    call.emit("error", STOPPED);
  };
  const close = (): void => {
    context.openStreams.delete(stop);
    stream.close();
  };
  context.openStreams.add(stop);
  call.on("data", (request: WatchRequestIn) => {
    if (request.create_request !== undefined) stream.create(watchRequest(request.create_request));
    else if (request.cancel_request !== undefined)
      stream.cancel(Number(request.cancel_request.watch_id ?? 0));
    else if (request.progress_request !== undefined) stream.requestProgress();
  });
  call.on("drain", () => {
    stream.drained();
    call.resume();
  });
  call.on("end", () => {
    close();
    call.end();
  });
  call.on("cancelled", close);
  call.on("error", close);
}
