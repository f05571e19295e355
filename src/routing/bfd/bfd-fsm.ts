import type { BfdState } from "../../wire/bfd.ts";

/**
 * The state after a packet in which the neighbour says that its own is `told`. A fall to Down has `Diag.NEIGHBOR_SIGNALED_DOWN`. The
 * other events are not the table's: silence leads from Init and Up to Down, and an administrator to AdminDown and out of it.
 * @rfc 5880#6.2 @rfc 5880#6.8.6
 */
export function afterPacket(state: BfdState, told: BfdState): BfdState {
  if (state === "AdminDown") return "AdminDown";
  if (told === "AdminDown") return "Down";
  switch (state) {
    case "Down":
      if (told === "Down") return "Init";
      return told === "Init" ? "Up" : "Down";
    case "Init":
      return told === "Down" ? "Init" : "Up";
    case "Up":
      return told === "Down" ? "Down" : "Up";
  }
}
