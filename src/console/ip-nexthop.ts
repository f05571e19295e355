// The next hops of `ip route add PREFIX nexthop [via ADDRESS] [dev DEV] [weight NUMBER] [onlink] nexthop …`, as iproute2's
// `parse_nexthops` reads them: they end the command.
import { parseIpv4 } from "../base/ipv4-addr.ts";
import { err, ok, type Result } from "../base/result.ts";
import type { NextHopSpec } from "../stack/route.ts";
import type { CommandContext } from "./command.ts";
import type { Printed } from "./printed-command.ts";

/** RTNH's weights fit in an octet, less one. */
const WEIGHT_MAX = 256;

const INCOMPLETE: Printed = {
  stderr: 'Command line is not complete. Try option "help"\n',
  exitCode: 255,
};

/**
 * Reads the rest of a command from its first `nexthop` on.
 *
 * @param words the first of them is `nexthop` @returns one next hop or more; the error is what iproute2 prints
 */
export function parseNextHops(
  words: readonly string[],
  cx: Pick<CommandContext, "netns">,
): Result<readonly NextHopSpec[], Printed> {
  const hops: NextHopSpec[] = [];
  for (let at = 0; at < words.length; ) {
    const word = words[at] as string;
    if (word !== "nexthop") {
      return fault(`Error: "nexthop" or end of line is expected instead of "${word}"\n`);
    }
    if (at + 1 === words.length) return fault('Error: unexpected end of line after "nexthop"\n');
    const next = words.indexOf("nexthop", at + 1);
    const end = next < 0 ? words.length : next;
    const hop = parseNextHop(words.slice(at + 1, end), cx);
    if (!hop.ok) return hop;
    hops.push(hop.value.hop);
    at += 1 + hop.value.taken;
  }
  return ok(hops);
}

/** What one next hop is told, up to the first word that is none of its own. */
function parseNextHop(
  words: readonly string[],
  cx: Pick<CommandContext, "netns">,
): Result<{ readonly hop: NextHopSpec; readonly taken: number }, Printed> {
  let hop: NextHopSpec = {};
  let at = 0;
  while (at < words.length) {
    const word = words[at] as string;
    if (word === "onlink") {
      hop = { ...hop, onlink: true };
      at++;
      continue;
    }
    if (word !== "via" && word !== "dev" && word !== "weight") break;
    const value = words[at + 1];
    if (value === undefined) return err(INCOMPLETE);
    const read = readValue(word, value, cx);
    if (!read.ok) return read;
    hop = { ...hop, ...read.value };
    at += 2;
  }
  return ok({ hop, taken: at });
}

function readValue(
  word: "via" | "dev" | "weight",
  value: string,
  cx: Pick<CommandContext, "netns">,
): Result<NextHopSpec, Printed> {
  if (word === "via") {
    const via = parseIpv4(value);
    if (via === undefined) return fault(`Error: inet address is expected rather than "${value}".\n`, 1);
    return ok({ via });
  }
  if (word === "dev") {
    const dev = cx.netns.device(value);
    if (dev === undefined) return fault(`Cannot find device "${value}"\nError: cannot parse nexthop\n`);
    return ok({ dev });
  }
  const weight = /^\d+$/.test(value) ? Number(value) : 0;
  if (weight < 1 || weight > WEIGHT_MAX) {
    return fault(`Error: argument "${value}" is wrong: "weight" is invalid\n\n`);
  }
  return ok({ weight });
}

function fault(stderr: string, exitCode = 255): { readonly ok: false; readonly error: Printed } {
  return err({ stderr, exitCode });
}
