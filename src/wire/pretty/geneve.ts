import * as ethernet from "../ethernet.ts";
import * as geneve from "../geneve.ts";

/** The flags by tcpdump's names, from the highest bit. */
const FLAGS: readonly (readonly [bit: number, name: string])[] = [
  [0x80, "O"],
  [0x40, "C"],
  [0x20, "R1"],
  [0x10, "R2"],
  [0x08, "R3"],
  [0x04, "R4"],
  [0x02, "R5"],
  [0x01, "R6"],
];

/**
 * The Geneve header at `off`..`end` as tcpdump writes it, up to what follows it; never throws.
 *
 * @param claimed where UDP says that it ends
 * @returns `whole` false: nothing can follow
 */
export function formatGeneve(
  view: DataView,
  off: number,
  end: number,
  claimed: number,
): { readonly text: string; readonly whole: boolean } {
  const broken = (text: string) => ({ text: `Geneve${text}`, whole: false });
  if (claimed - off < geneve.HEADER_LEN) return broken(` [length ${claimed - off} < 8] (invalid)`);
  if (end - off < geneve.HEADER_LEN) return broken(" [|geneve]");
  const version = geneve.version(view, off);
  if (version !== 0) return broken(` ERROR: unknown-version ${version}`);
  const bits = view.getUint8(off + 1);
  const flags = FLAGS.filter(([bit]) => (bits & bit) !== 0).map(([, name]) => name);
  const reserved = view.getUint8(off + 7);
  const protocol = geneve.protocol(view, off);
  const text = [
    `Geneve, Flags [${flags.length === 0 ? "none" : flags.join("")}]`,
    `vni 0x${geneve.vni(view, off).toString(16)}`,
    ...(reserved === 0 ? [] : [`rsvd 0x${reserved.toString(16)}`]),
    `proto ${protocolName(protocol)} (0x${protocol.toString(16).padStart(4, "0")})`,
  ].join(", ");
  const optionBytes = geneve.headerLen(view, off) - geneve.HEADER_LEN;
  const missing = off + geneve.HEADER_LEN + optionBytes - end;
  if (missing > 0) return { text: `${text} truncated-geneve - ${missing} bytes missing`, whole: false };
  return { text: optionBytes === 0 ? text : `${text}, options [${optionBytes} bytes]`, whole: true };
}

function protocolName(protocol: number): string {
  if (protocol === geneve.PROTOCOL_ETHERNET) return "TEB";
  return protocol === ethernet.EtherType.IPV4 ? "IPv4" : "unknown";
}
