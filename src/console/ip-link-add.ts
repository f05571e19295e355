// `ip link add` and `ip link del`: bridges, pairs of veth, and VXLAN devices on a UDP port that the node has open. What an agent has
// made cannot be deleted from under it, and the names that agents use are theirs.
import { MAC_ZERO, randomMac } from "../base/mac-addr.ts";
import type { Instant } from "../base/time.ts";
import { Bridge } from "../stack/bridge.ts";
import { vethPair } from "../stack/veth.ts";
import type { CommandContext } from "./command.ts";
import type { IpOptions } from "./ip-filter.ts";
import { makeVxlan } from "./ip-link-add-vxlan.ts";
import { missingWords, NOT_COMPLETE, noSuchDevice, readWords } from "./ip-words.ts";
import { DONE, netlinkRefusal, notEmulated } from "./kernel-answer.ts";
import { checkMtu, LINK, MTU_BYTES, type NewLink, newName, settle } from "./new-link.ts";
import type { Printed } from "./printed-command.ts";

/** Kinds of devices that Linux has and the emulated kernel has not. */
const FOREIGN_KINDS: readonly string[] =
  "dummy ifb macvlan macvtap ipvlan ipvtap vlan bond team tun ipip gre gretap sit geneve vrf wireguard nlmon vcan".split(
    " ",
  );

type Make = (link: NewLink, words: readonly string[], cx: CommandContext, now: Instant) => Printed;

const MAKERS: ReadonlyMap<string, Make> = new Map<string, Make>([
  ["bridge", makeBridge],
  ["veth", makeVeth],
  ["vxlan", makeVxlan],
]);

/** `ip link add [name] NAME [mtu N] [address MAC] [up] type KIND …`. */
export function addLink(
  words: readonly string[],
  _options: IpOptions,
  cx: CommandContext,
  now: Instant,
): Printed {
  const at = words.indexOf("type", words[0] === "name" || words[0] === "dev" ? 2 : 0);
  const link: NewLink = {};
  const complaint = readWords(at < 0 ? words : words.slice(0, at), LINK, link);
  if (complaint !== undefined) return complaint;
  if (at < 0) return missingWords('Not enough information: "type" argument is required', 1);
  const kind = words[at + 1];
  if (kind === undefined) return NOT_COMPLETE;
  const make = MAKERS.get(kind);
  if (make !== undefined) return make(link, words.slice(at + 2), cx, now);
  return FOREIGN_KINDS.includes(kind)
    ? notEmulated(`a device of type ${kind}`)
    : netlinkRefusal("Unknown device type");
}

function makeBridge(link: NewLink, words: readonly string[], cx: CommandContext, now: Instant): Printed {
  const [option] = words;
  if (option !== undefined) return notEmulated(`"${option}" of a bridge`);
  const { netns, rng } = cx;
  const name = newName(netns, link.name, "bridge");
  if (!name.ok) return name.error;
  const refused = checkMtu(link);
  if (refused !== undefined) return refused;
  const bridge = new Bridge(netns.ctx, name.value, randomMac(rng));
  settle(netns, bridge, {}, now);
  if (link.mac !== undefined && link.mac !== MAC_ZERO) bridge.setMac(link.mac, now);
  if (link.mtuBytes !== undefined) bridge.setMtu(link.mtuBytes, now);
  if (link.up === true) netns.setLink(bridge, true, now);
  return DONE;
}

/** `type veth [peer [name] NAME [mtu N] [address MAC]]`: both ends in this namespace. */
function makeVeth(link: NewLink, words: readonly string[], cx: CommandContext, now: Instant): Printed {
  const [word, ...rest] = words;
  if (word !== undefined && word !== "peer") return notEmulated(`"${word}" of a veth`);
  const peer: NewLink = {};
  const complaint = readWords(rest, LINK, peer);
  if (complaint !== undefined) return complaint;
  const { netns, rng } = cx;
  // The kernel makes the peer first.
  const peerName = newName(netns, peer.name, "veth");
  if (!peerName.ok) return peerName.error;
  const name = newName(netns, link.name, "veth", peerName.value);
  if (!name.ok) return name.error;
  const refused = checkMtu(link, "Invalid argument") ?? checkMtu(peer, "Invalid argument");
  if (refused !== undefined) return refused;
  const { mac = randomMac(rng), mtuBytes = MTU_BYTES } = link;
  const { mac: peerMac = randomMac(rng), mtuBytes: peerMtuBytes = MTU_BYTES } = peer;
  const [near, far] = vethPair(netns.ctx, name.value, peerName.value, mac, peerMac, mtuBytes);
  far.mtuBytes = peerMtuBytes;
  settle(netns, far, peer, now);
  settle(netns, near, link, now);
  return DONE;
}

/** `ip link del [dev] DEV`: of what `ip link add` has made. */
export function deleteLink(
  words: readonly string[],
  _options: IpOptions,
  { netns }: CommandContext,
  now: Instant,
): Printed {
  const link: NewLink = {};
  const at = words.indexOf("type");
  const complaint = readWords(at < 0 ? words : words.slice(0, at), LINK, link);
  if (complaint !== undefined) return complaint;
  if (link.name === undefined) {
    return missingWords('Not enough information: "dev" argument is required.', 255);
  }
  const dev = netns.device(link.name);
  if (dev === undefined) return noSuchDevice(link.name);
  if (dev === netns.lo) return netlinkRefusal("Operation not supported");
  if (!dev.byCommand) {
    return notEmulated(
      `deleting ${dev.name}, which the node's agent has made and holds ("ip link set ${dev.name} down" is there),`,
    );
  }
  netns.delDevice(dev, now);
  return DONE;
}
