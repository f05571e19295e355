import type { Instant } from "../../../base/time.ts";
import type { Family } from "../../../wire/bgp/family.ts";
import type { ExportConfig, OutMember } from "./export-config.ts";
import type { GroupMember } from "./group-member.ts";
import type { RibPeer } from "./rib-peer.ts";
import type { UpdateGroup } from "./update-group.ts";

/** A neighbour's session: in each family a member of a group. */
export class OutSession {
  readonly member: OutMember;
  readonly peer: RibPeer;
  config: ExportConfig;
  /** It has refused something, and has not said since that it takes something. */
  blocked = false;
  readonly places = new Map<Family, { readonly group: UpdateGroup; readonly member: GroupMember }>();

  constructor(member: OutMember) {
    this.member = member;
    this.peer = member.peer;
    this.config = member.config;
  }

  /** False: not taken. */
  transmit(bytes: Uint8Array, now: Instant): boolean {
    if (!this.blocked) this.blocked = !this.member.transmit(bytes, now);
    return !this.blocked;
  }

  /** Begins or ends our answer to a refresh, if the neighbour understands that. False: not taken. @rfc 7313#4 */
  refresh(family: Family, subtype: number, now: Instant): boolean {
    if (!this.member.negotiated.enhancedRefresh) return true;
    if (!this.blocked) this.blocked = !this.member.refresh(family, subtype, now);
    return !this.blocked;
  }
}
