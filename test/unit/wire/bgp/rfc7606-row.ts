// One row for every sentence of RFC 7606's error handling as we read it, with the octets that break it. `base` is a sound set of
// attributes for the session; the routes are 192.0.2.0/24 in the NLRI field unless the row says otherwise.
import type { Rung } from "../../../../src/wire/bgp/errors.ts";
import type { Negotiated } from "../../../../src/wire/bgp/negotiated.ts";

export interface Parts {
  /** All that follows the header, instead of the three parts. */
  readonly body?: string;
  readonly withdrawn?: string;
  readonly attributes?: string;
  readonly nlri?: string;
}

export interface Base {
  readonly origin: string;
  readonly asPath: string;
  readonly nextHop: string;
  /** Only inside an AS. */
  readonly localPref: string;
}

/** What a session must make of the message: the rung, and code/subcode of the NOTIFICATION that it is or would have been. */
export type Want = readonly [rung: Rung, notice?: string, data?: string | undefined];

export interface Row {
  readonly sentence: string;
  readonly parts: (base: Base) => Parts;
  /** In both sessions, or inside our AS and with another one. */
  readonly want: Want | { readonly ibgp: Want; readonly ebgp: Want };
  readonly session?: Partial<Negotiated>;
  /** Routes are announced in MP_REACH_NLRI: what they are, as text. Default: 192.0.2.0/24. */
  readonly routes?: readonly string[];
}

export const NLRI = "18c00002";
export const all = (base: Base): string => base.origin + base.asPath + base.nextHop + base.localPref;
export const sound = (extra: string) => (base: Base) => ({ attributes: all(base) + extra, nlri: NLRI });
/** The base attributes with some replaced. */
export const changed = (replaced: Partial<Base>, extra = "") => {
  return (base: Base) => sound(extra)({ ...base, ...replaced });
};

export const NONE: Want = ["none"];
export const discard = (notice: string, data?: string): Want => ["attribute-discard", notice, data];
export const withdraw = (notice: string, data?: string): Want => ["treat-as-withdraw", notice, data];
export const reset = (notice: string, data?: string): Want => ["session-reset", notice, data];

export const NH6 = "20010db8000000000000000000000001";
export const LL6 = "fe800000000000000000000000000001";
/** MP_REACH_NLRI of 2001:db8:7::/48, and MP_UNREACH_NLRI of 2001:db8:8::/48. */
export const REACH6 = `800e1c 000201 10 ${NH6} 00 30 20010db80007`;
export const UNREACH6 = "800f0a 000201 30 20010db80008";
export const V6 = ["2001:db8:7::/48"];
export const only6 = (attribute: string) => (base: Base) => ({
  attributes: attribute + base.origin + base.asPath + base.localPref,
});

export const reachOf = (head: string, nlri = "30 20010db80007") => {
  const value = (head + nlri).replaceAll(" ", "");
  return `800e${(value.length / 2).toString(16).padStart(2, "0")}${value}`;
};

export function sizes(name: string, head: string, octets: readonly number[], want: Row["want"]): Row[] {
  return octets.map((length) => ({
    sentence: `${name} length ${length}`,
    parts: sound(`${head}${length.toString(16).padStart(2, "0")}${"01".repeat(length)}`),
    want,
  }));
}
