// How the store is named, in the lab file and after --store.

const PORT = /(6553[0-5]|655[0-2][0-9]|65[0-4][0-9]{2}|6[0-4][0-9]{3}|[1-5][0-9]{4}|[1-9][0-9]{0,3})/.source;
const ENDPOINT = `http://(\\[[0-9a-fA-F:.]+\\]|[^\\s,/:@]+):${PORT}`;

/** `http://host:port`, several with commas between. The port is demanded: without one a client would dial 443. */
export const ENDPOINTS_PATTERN = new RegExp(`^${ENDPOINT}(,${ENDPOINT})*$`);

/** The form of a store, for messages. */
export const STORE_FORM = "embedded, etcd or http://host:port[,http://…]";

/** What to write instead of a store that the pattern refuses. */
export function storeRemedy(text: string): string {
  if (text.startsWith("https://")) return "A lab's store is reached without TLS: write http://host:2379.";
  const portless = text.split(",").find((endpoint) => /^http:\/\/[^\s,/:@]+\/?$/.test(endpoint));
  if (portless !== undefined)
    return `Name the port of each: ${portless.replace(/\/$/, "")}:2379 is etcd's usual one.`;
  return "Write embedded, etcd (the one on PATH), or for example http://127.0.0.1:2379.";
}
