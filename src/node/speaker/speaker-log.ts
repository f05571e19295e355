// What a speaker says of itself, as lines of its log: one for each transition.
import { formatIpv4 } from "../../base/ipv4-addr.ts";
import type { Logger } from "../../io/logger.ts";
import { type BgpTrace, describeTrace } from "../../routing/bgp/session/bgp-trace.ts";
import type { SpeakerOutput } from "../../routing/bgp/speaker/speaker-messages.ts";
import { formatFamily } from "../../wire/bgp/family.ts";

export const ROOM = "bgp";

/** Writes what is for people; says nothing of the rest. */
export function logOutput(logger: Logger, output: SpeakerOutput): void {
  switch (output.t) {
    case "trace": {
      const { neighbor, addr, trace } = output;
      const said = describeTrace(trace);
      if (!logger.writes(said.level)) return;
      const fields = { neighbor, addr: formatIpv4(addr), ...traceFields(trace) };
      logger.log(said.level, ROOM, trace.t, said.message, fields);
      return;
    }
    case "log":
      logger.log(output.level, ROOM, output.event, output.message);
      return;
    case "restartComplete": {
      const families = output.families.map(formatFamily);
      logger.log("info", ROOM, "restartComplete", `routes of ${families.join(", ")} are chosen`, {
        families,
      });
      return;
    }
    default:
  }
}

/** What somebody would search for. */
function traceFields(trace: BgpTrace): Readonly<Record<string, unknown>> {
  switch (trace.t) {
    case "state":
      return { from: trace.from, state: trace.to, cause: trace.event, incoming: trace.incoming };
    case "notification":
      return { direction: trace.direction, code: trace.notice.code, subcode: trace.notice.subcode };
    case "message":
      return { direction: trace.direction, octets: trace.octets };
    case "prefixLimit":
      return { family: formatFamily(trace.family), count: trace.count, limit: trace.limit };
    case "flushed":
      return { family: formatFamily(trace.family) };
    default:
      return {};
  }
}
