/** Names that no node may have: the logs of the store and of the supervisor stand beside those of the nodes. */
export const RESERVED_NODE_NAMES: readonly string[] = ["store", "supervisor"];
