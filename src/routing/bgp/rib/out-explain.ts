import type { RibView } from "./adj-rib-out.ts";
import { rank } from "./decision.ts";
import { exportRoute } from "./export-route.ts";
import type { GroupMember } from "./group-member.ts";
import type { Destination, Path } from "./route.ts";
import type { UpdateGroup } from "./update-group.ts";

/** For people: why a member is told of a destination, or is not. Path by path where ADD-PATH is spoken. Slow. */
export function explainOut(rib: RibView, group: UpdateGroup, member: GroupMember, dest: Destination): string {
  const { best } = dest;
  if (best === undefined) return "no path to it can be used";
  if (!group.rib.encoding.addPath) return explainPath(group, member, best, 0);
  const max = Math.max(1, group.rib.target.config.addPathMax);
  const paths = max === 1 ? [best] : rank(dest.paths, rib.options.decision, undefined, best);
  const lines: string[] = [];
  let told = 0;
  for (const path of paths) {
    const fits = told < max;
    if ("route" in exportRoute(path, group.rib.target)) told++;
    const why = fits ? explainPath(group, member, path, path.localId) : `not one of the ${max} best`;
    lines.push(`path ${path.localId} of ${path.source.config.name}: ${why}`);
  }
  return lines.join("; ");
}

function explainPath(group: UpdateGroup, member: GroupMember, path: Path, pathId: number): string {
  if (path.source === member.peer) return "learnt from it";
  const exported = exportRoute(path, group.rib.target);
  if ("refused" in exported) return exported.refused;
  if (exported.route.nextHop === member.addr) return "it would be its own next hop";
  for (let one = group.rib.table.head(path.dest); one !== undefined; one = one.sibling) {
    if (one.pathId !== pathId || one.goal === undefined) continue;
    const known = member.knows(one);
    return known !== undefined && known === member.sees(one.goal) ? "told" : "about to be told";
  }
  return group.rib.filled ? "its attributes leave no room for it in a message" : "about to be told";
}
