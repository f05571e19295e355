const WORDS: Readonly<Record<string, string>> = { "IPv4 unicast": "ipv4", "IPv6 unicast": "ipv6" };
const TABLES: Readonly<Record<string, string>> = { "IPv4 unicast": "master4", "IPv6 unicast": "master6" };

/** How BIRD calls a family: ipv4, ipv6. */
export function familyWord(family: string): string {
  return WORDS[family] ?? family;
}

/** BIRD's table that holds the routes of a family. */
export function tableOf(family: string): string {
  return TABLES[family] ?? family;
}

/** The tables that there are, with their families. */
export const BIRD_TABLES: readonly { readonly table: string; readonly family: string }[] = Object.entries(
  TABLES,
).map(([family, table]) => ({ family, table }));
