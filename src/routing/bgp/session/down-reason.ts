import { ErrorCode, type Notice, OpenError } from "../../../wire/bgp/errors.ts";
import { NO_OCTETS } from "../../../wire/bgp/octets.ts";
import type { BgpConnection } from "./connection.ts";
import type { FsmEvent } from "./fsm-types.ts";
import type { DownReason } from "./peer-messages.ts";

const VERSION_ERROR: Notice = {
  code: ErrorCode.OPEN,
  subcode: OpenError.UNSUPPORTED_VERSION,
  data: NO_OCTETS,
};

/** Why the session on `c` ends with this event. */
export function downReason(c: BgpConnection, event: FsmEvent): DownReason {
  if (event.t === "NotifMsg") return { t: "remote", notice: event.notice };
  if (event.t === "NotifMsgVerErr") return { t: "remote", notice: VERSION_ERROR };
  if (c.notice !== undefined) return { t: "local", notice: c.notice };
  return c.lostBy === undefined ? { t: "restarted" } : { t: "lost", message: c.lostBy };
}
