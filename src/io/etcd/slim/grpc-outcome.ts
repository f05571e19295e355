// How a gRPC call ends: its status from trailers, or from what HTTP/2 says where there are none.
import { constants, type IncomingHttpHeaders } from "node:http2";
import { StoreError } from "../etcd-transport.ts";
import { reasonOf, Status } from "../grpc-status.ts";

/** A gRPC status and its text. */
export interface Outcome {
  readonly status: number;
  readonly text: string;
}

const OF_HTTP: Readonly<Record<number, number>> = {
  400: Status.INTERNAL,
  401: Status.UNAUTHENTICATED,
  403: Status.PERMISSION_DENIED,
  404: Status.UNIMPLEMENTED,
  429: Status.UNAVAILABLE,
  502: Status.UNAVAILABLE,
  503: Status.UNAVAILABLE,
  504: Status.UNAVAILABLE,
};

/** The outcome that trailers name, or headers that are trailers at once; undefined when they name none. */
export function outcomeOf(headers: IncomingHttpHeaders): Outcome | undefined {
  const status = headers["grpc-status"];
  if (status === undefined) return undefined;
  const text = headers["grpc-message"];
  return {
    status: /^\d{1,3}$/.test(String(status)) ? Number(status) : Status.UNKNOWN,
    text: percentDecode(text === undefined ? "" : String(text)),
  };
}

/** The outcome of headers that cannot be a gRPC answer, as from a proxy or another kind of server; undefined when they can. */
export function refusalOf(headers: IncomingHttpHeaders): Outcome | undefined {
  const http = headers[constants.HTTP2_HEADER_STATUS] as unknown as number | undefined;
  if (http !== 200) {
    const status = OF_HTTP[http ?? 0] ?? Status.UNKNOWN;
    return { status, text: `the server answered with HTTP status ${http ?? "unknown"}` };
  }
  const type = headers["content-type"] ?? "nothing";
  if (type.startsWith("application/grpc")) return undefined;
  return { status: Status.UNKNOWN, text: `the server does not speak gRPC: it answered with ${type}` };
}

/** The outcome of a stream that was reset, or that ended without trailers. */
export function outcomeOfReset(code: number): Outcome {
  switch (code) {
    case constants.NGHTTP2_NO_ERROR:
      return { status: Status.INTERNAL, text: "the server ended the call without a status" };
    case constants.NGHTTP2_REFUSED_STREAM:
      return { status: Status.UNAVAILABLE, text: "the server refused the call" };
    case constants.NGHTTP2_CANCEL:
      return { status: Status.CANCELLED, text: "the server cancelled the call" };
    case constants.NGHTTP2_ENHANCE_YOUR_CALM:
      return { status: Status.RESOURCE_EXHAUSTED, text: "the server refused the call: too many requests" };
    case constants.NGHTTP2_INADEQUATE_SECURITY:
      return { status: Status.PERMISSION_DENIED, text: "the server wants better encryption" };
    default:
      return { status: Status.INTERNAL, text: `the server reset the call with HTTP/2 error ${code}` };
  }
}

export function unavailable(text: string): Outcome {
  return { status: Status.UNAVAILABLE, text };
}

/** A failed outcome as what the rest of podloom knows. */
export function storeErrorOf({ status, text }: Outcome, cause?: unknown): StoreError {
  const at = text.indexOf("etcdserver: ");
  const words = at > 0 ? text.slice(at) : text;
  return new StoreError(
    reasonOf(status, words),
    words || `the call failed with gRPC status ${status}`,
    cause,
  );
}

/** Undoes gRPC's encoding of messages; what is no proper encoding stays as it is. */
export function percentDecode(text: string): string {
  if (!text.includes("%")) return text;
  const bytes: number[] = [];
  const raw = Buffer.from(text, "latin1");
  for (let i = 0; i < raw.length; i++) {
    const hex = raw.toString("latin1", i + 1, i + 3);
    if (raw[i] === 0x25 && /^[0-9a-fA-F]{2}$/.test(hex)) {
      bytes.push(Number.parseInt(hex, 16));
      i += 2;
    } else bytes.push(raw[i] as number);
  }
  return Buffer.from(bytes).toString("utf8");
}
