/** Type codes of path attributes. @rfc 4271#5 */
export const AttributeType = {
  ORIGIN: 1,
  AS_PATH: 2,
  NEXT_HOP: 3,
  MED: 4,
  LOCAL_PREF: 5,
  ATOMIC_AGGREGATE: 6,
  AGGREGATOR: 7,
  /** @rfc 1997 */
  COMMUNITY: 8,
  /** @rfc 4456#8 */
  ORIGINATOR_ID: 9,
  /** @rfc 4456#8 */
  CLUSTER_LIST: 10,
  /** @rfc 4760#3 */
  MP_REACH_NLRI: 14,
  /** @rfc 4760#4 */
  MP_UNREACH_NLRI: 15,
  /** @rfc 4360#2 */
  EXT_COMMUNITY: 16,
  /** @rfc 6793#3 */
  AS4_PATH: 17,
  /** @rfc 6793#3 */
  AS4_AGGREGATOR: 18,
  /** @rfc 6514#5 */
  PMSI_TUNNEL: 22,
  /** @rfc 5701#2 */
  IPV6_EXT_COMMUNITY: 25,
  /** @rfc 8092#3 */
  LARGE_COMMUNITY: 32,
} as const;

/** The attribute flags; the low nibble is sent as 0 and not looked at. @rfc 4271#4.3 */
export const AttributeFlag = {
  OPTIONAL: 0x80,
  TRANSITIVE: 0x40,
  PARTIAL: 0x20,
  EXTENDED_LENGTH: 0x10,
} as const;

const WELL_KNOWN: number = AttributeFlag.TRANSITIVE;
const NON_TRANSITIVE: number = AttributeFlag.OPTIONAL;
const TRANSITIVE: number = AttributeFlag.OPTIONAL | AttributeFlag.TRANSITIVE;

const FLAGS: ReadonlyMap<number, number> = new Map<number, number>([
  [AttributeType.ORIGIN, WELL_KNOWN],
  [AttributeType.AS_PATH, WELL_KNOWN],
  [AttributeType.NEXT_HOP, WELL_KNOWN],
  [AttributeType.MED, NON_TRANSITIVE],
  [AttributeType.LOCAL_PREF, WELL_KNOWN],
  [AttributeType.ATOMIC_AGGREGATE, WELL_KNOWN],
  [AttributeType.AGGREGATOR, TRANSITIVE],
  [AttributeType.COMMUNITY, TRANSITIVE],
  [AttributeType.ORIGINATOR_ID, NON_TRANSITIVE],
  [AttributeType.CLUSTER_LIST, NON_TRANSITIVE],
  [AttributeType.MP_REACH_NLRI, NON_TRANSITIVE],
  [AttributeType.MP_UNREACH_NLRI, NON_TRANSITIVE],
  [AttributeType.EXT_COMMUNITY, TRANSITIVE],
  [AttributeType.AS4_PATH, TRANSITIVE],
  [AttributeType.AS4_AGGREGATOR, TRANSITIVE],
  [AttributeType.PMSI_TUNNEL, TRANSITIVE],
  [AttributeType.IPV6_EXT_COMMUNITY, TRANSITIVE],
  [AttributeType.LARGE_COMMUNITY, TRANSITIVE],
]);

/** {@link FLAGS} by type; -1 for unknown types. An array, since every attribute of every UPDATE asks. */
const FLAGS_BY_TYPE = Int16Array.from({ length: 256 }, (_, type) => FLAGS.get(type) ?? -1);

/** The Optional and Transitive bits that the type must have; undefined for types that are not known here. */
export function requiredFlags(type: number): number | undefined {
  const flags = FLAGS_BY_TYPE[type] as number;
  return flags < 0 ? undefined : flags;
}

const NAMES: ReadonlyMap<number, string> = new Map(
  Object.entries(AttributeType).map(([name, type]) => [type, name]),
);

/** "AS_PATH", or "attribute 99". */
export function attributeName(type: number): string {
  return NAMES.get(type) ?? `attribute ${type}`;
}
