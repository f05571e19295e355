// What all new links have in common: the words before `type`, the names that they may have, and how they come into a namespace.
import type { MacAddr } from "../base/mac-addr.ts";
import { err, ok, type Result } from "../base/result.ts";
import type { Instant } from "../base/time.ts";
import type { NetDevice } from "../stack/net-device.ts";
import type { Netns } from "../stack/netns.ts";
import { OF_ANY_LINK } from "./ip-link-change.ts";
import { absent, flag, type Grammar, garbage, valued, wrongArgument } from "./ip-words.ts";
import { netlinkRefusal } from "./kernel-answer.ts";
import type { Printed } from "./printed-command.ts";

/** What was said before `type`. */
export interface NewLink {
  name?: string;
  mtuBytes?: number;
  mac?: MacAddr;
  up?: boolean;
}

export const LINK: Grammar<NewLink> = {
  bare: "dev",
  take: (draft, name) => {
    if (draft.name !== undefined) return garbage("dev", name);
    return keepName(draft, name, "dev");
  },
  keywords: [
    valued("name", (draft, name) => keepName(draft, name, "name")),
    ...OF_ANY_LINK,
    flag("up", (draft) => {
      draft.up = true;
    }),
    ...[
      "link",
      "txqueuelen",
      "broadcast",
      "index",
      "netns",
      "master",
      "numtxqueues",
      "numrxqueues",
      "arp",
    ].map((name) => absent<NewLink>(name, "a new link")),
  ],
};

function keepName(draft: NewLink, name: string, word: string): Printed | undefined {
  if (name === "" || /[/\s]/.test(name)) return wrongArgument(name, `"${word}" not a valid ifname`);
  draft.name = name;
  return undefined;
}

const NAME_MAX = 15;
/** What the agents of Flannel and Calico and the bridge plugin call their devices. */
const AGENTS_NAMES = /^(flannel\.\d+|cni0|tunl0|vxlan\.calico|cali.*|veth[0-9a-f]{8})$/;
export const MTU_BYTES = 1500;
const MTU_MIN_BYTES = 68;
const MTU_MAX_BYTES = 65_535;

/** The name of a new device: the one that was given, or the first free one of its kind. @param taken by a device that is being made beside it @returns why it cannot have it */
export function newName(
  netns: Netns,
  given: string | undefined,
  kind: string,
  taken?: string,
): Result<string, Printed> {
  if (given === undefined) {
    let n = 0;
    while (netns.device(`${kind}${n}`) !== undefined || `${kind}${n}` === taken) n++;
    return ok(`${kind}${n}`);
  }
  if (given.length > NAME_MAX) return err(netlinkRefusal("Attribute failed policy validation"));
  if (netns.device(given) !== undefined || given === taken) return err(netlinkRefusal("File exists"));
  if (AGENTS_NAMES.test(given)) {
    return err({ stderr: `Error: ${given} is a name for devices of the node's agent.\n`, exitCode: 2 });
  }
  return ok(given);
}

/** @param refusal what this kind of device says of an MTU that it cannot have, where that is no matter of every kind */
export function checkMtu({ mtuBytes = MTU_BYTES }: NewLink, refusal?: string): Printed | undefined {
  if (mtuBytes >= MTU_MIN_BYTES && mtuBytes <= MTU_MAX_BYTES) return undefined;
  const generic =
    mtuBytes < MTU_MIN_BYTES ? "mtu less than device minimum" : "mtu greater than device maximum";
  return netlinkRefusal(refusal ?? generic);
}

/** Puts a device that a command has made into the namespace. */
export function settle(netns: Netns, dev: NetDevice, { up }: NewLink, now: Instant): void {
  dev.byCommand = true;
  netns.addDevice(dev);
  if (up === true) netns.setLink(dev, true, now);
}
