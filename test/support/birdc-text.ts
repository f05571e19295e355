// How what we print differs from what BIRD prints.

/** What BIRD says and we do not: protocols, statistics and timers that we have not, and the interface that a next hop is behind. */
const NOT_OURS =
  /^(?:device1|direct1) .*\n|^ +Route change stats: .*\n|^ +(?:Import|Export) (?:updates|withdraws): .*\n|^ +IGP IPv[46] table: .*\n|^ +Action: .*\n|^ +(?:Connect delay|Restart timer): .*\n|^ +BGP Next hop: +::\n/gm;

/** What BIRD 2.0.12 printed, as a speaker of ours in its place says it. */
export function asOurs(bird: string): string {
  const text = bird
    .replace(/^BIRD /gm, "podloom ")
    .replace(NOT_OURS, "")
    .replace(/^(static1 +Static +)master4/m, "$1---    ")
    .replace(/ on d0$/gm, "")
    // One policy serves all families of a neighbour here.
    .replaceAll("Output filter:  (unnamed)", "Output filter:  ACCEPT")
    .replace(/ multihop/g, "")
    .replace(/(Error wait: .*)\/20$/m, "$1/-")
    .replace(" [HIT]", "");
  return inOrder(text);
}

/** BIRD has its routes in the order of their hashes. */
function inOrder(text: string): string {
  return text.replace(/(?<=^Table .*:\n)(?:(?!\n|exit|\d+ of).*\n)+/gm, (table) => {
    const blocks = table.split(/^(?=[\da-f])/m);
    return blocks.sort((x, y) => compare(key(x), key(y))).join("");
  });
}

function key(block: string): number[] {
  return (/^[\d.:a-f/]+/.exec(block)?.[0] ?? "").split(/[./:]+/).map(Number);
}

function compare(x: readonly number[], y: readonly number[]): number {
  const at = x.findIndex((value, i) => value !== y[i]);
  return at < 0 ? 0 : (x[at] as number) - (y[at] as number);
}
