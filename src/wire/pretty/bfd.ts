import * as bfd from "../bfd.ts";

/** As tcpdump names them, from the highest bit. */
const FLAGS: readonly (readonly [bit: number, name: string])[] = [
  [bfd.Flag.POLL, "Poll"],
  [bfd.Flag.FINAL, "Final"],
  [bfd.Flag.CONTROL_PLANE_INDEPENDENT, "Control Plane Independent"],
  [bfd.Flag.AUTHENTICATION, "Authentication Present"],
  [bfd.Flag.DEMAND, "Demand"],
  [bfd.Flag.MULTIPOINT, "Multipoint"],
];

/**
 * The control packet at `off`..`end` as tcpdump writes it; never throws, and judges nothing. Of the versions before RFC 5880 it says
 * no more than the number.
 *
 * @param claimed where UDP says that it ends
 */
export function formatBfd(view: DataView, off: number, end: number, claimed: number): string {
  if (end - off < bfd.PACKET_LEN) return " [|bfd]";
  const version = bfd.version(view, off);
  const length = `length: ${claimed - off}`;
  if (version !== 1) return `BFDv${version}, Control, ${length}`;
  const bits = bfd.flags(view, off);
  const set = FLAGS.filter(([bit]) => (bits & bit) !== 0).map(([, name]) => name);
  const names = set.length === 0 ? "none" : set.join(", ");
  return `BFDv1, Control, State ${bfd.state(view, off)}, Flags: [${names}], ${length}`;
}
