// Policies as a speaker's file has them: ordered rules, the first that accepts or rejects decides.
import * as z from "zod/mini";
import {
  about,
  asNumber,
  community,
  extCommunity,
  flag,
  largeCommunity,
  name,
  nextHopOrSelf,
  nextHopRange,
  oneOf,
  oneOrMore,
  prefixRange,
  whole,
  words,
} from "./values.ts";

/** Upper bounds: what is beyond them was not written by a person, nor for a purpose. */
const RULES_MAX = 10_000;
const PREFIXES_MAX = 100_000;
const LIST_MAX = 1000;
const U32_MAX = 0xffff_ffff;
/** Longest AS path expression, in characters. */
export const EXPRESSION_LENGTH_MAX = 1000;

export const ORIGINS = ["igp", "egp", "incomplete"] as const;
const SOURCES = "local, internal, external, rr-client, or the name of a neighbor";

function range(what: string) {
  return about(
    z.strictObject({
      min: z.exactOptional(whole(0, U32_MAX, "From here on.")),
      max: z.exactOptional(whole(0, U32_MAX, "Up to here.")),
    }),
    what,
  );
}

const match = z.lazy(() =>
  about(
    z.strictObject({
      prefixes: z.exactOptional(
        oneOrMore(
          prefixRange('A prefix; "ge" and "le" after it match longer ones of these lengths.'),
          "Prefixes that the route is to one of.",
          PREFIXES_MAX,
        ),
      ),
      communities: z.exactOptional(
        oneOrMore(community("A community, by number or by name."), "The route has one of these.", LIST_MAX),
      ),
      largeCommunities: z.exactOptional(
        oneOrMore(largeCommunity("A large community."), "The route has one of these.", LIST_MAX),
      ),
      extCommunities: z.exactOptional(
        oneOrMore(extCommunity("An extended community."), "The route has one of these.", LIST_MAX),
      ),
      asPath: z.exactOptional(
        words(
          EXPRESSION_LENGTH_MAX,
          'A regular expression over the AS path, in which "_" stands for the beginning, the end, or what is between two AS numbers.',
          "_64513_",
        ),
      ),
      asPathLength: z.exactOptional(range("How long the AS path is, as the decision counts.")),
      originAs: z.exactOptional(
        oneOrMore(asNumber("An AS number."), "The AS that the route comes from.", LIST_MAX),
      ),
      neighborAs: z.exactOptional(
        oneOrMore(asNumber("An AS number."), "The AS that the route came through last.", LIST_MAX),
      ),
      origin: z.exactOptional(oneOrMore(oneOf(ORIGINS, "An ORIGIN."), "ORIGIN of the route.", 3)),
      nextHop: z.exactOptional(
        oneOrMore(nextHopRange("An address, or a prefix of addresses."), "Where the route leads.", LIST_MAX),
      ),
      source: z.exactOptional(
        oneOrMore(
          words(80, `Where the route is from: ${SOURCES}.`, "external"),
          `Of these: ${SOURCES}.`,
          LIST_MAX,
        ),
      ),
      med: z.exactOptional(range("MED of the route; {} asks that it has one.")),
      localPref: z.exactOptional(range("LOCAL_PREF of the route.")),
    }),
    "What a route must be for the rule to apply: all that is given must hold; of a list, one of it.",
  ),
);

function edit<S extends z.ZodMiniType>(item: S, what: string) {
  const list = z.array(item).check(z.maxLength(LIST_MAX));
  return about(
    z.strictObject({
      clear: z.exactOptional(flag("Take all away.")),
      del: z.exactOptional(about(list, "Take these away.")),
      add: z.exactOptional(about(z.array(item).check(z.maxLength(LIST_MAX)), "Add these.")),
    }),
    `${what}: taking away comes first.`,
  );
}

const set = z.lazy(() =>
  about(
    z.strictObject({
      localPref: z.exactOptional(whole(0, U32_MAX, "LOCAL_PREF.")),
      med: z.exactOptional(about(z.nullable(whole(0, U32_MAX, "MED.")), "MED; null takes it away.")),
      origin: z.exactOptional(oneOf(ORIGINS, "ORIGIN.")),
      nextHop: z.exactOptional(
        nextHopOrSelf("Where the route leads: an address; self, for export: our own."),
      ),
      weight: z.exactOptional(whole(0, 65_535, "For import: a preference that is never told to anybody.")),
      prepend: z.exactOptional(
        about(
          z.array(asNumber("An AS number.")).check(z.minLength(1), z.maxLength(255)),
          "AS numbers that are put in front of the path, the first in front of all.",
        ),
      ),
      communities: z.exactOptional(edit(community("A community."), "Communities")),
      largeCommunities: z.exactOptional(edit(largeCommunity("A large community."), "Large communities")),
      extCommunities: z.exactOptional(edit(extCommunity("An extended community."), "Extended communities")),
    }),
    "What the rule changes of a route that it accepts, or hands on.",
  ),
);

const rule = z.lazy(() =>
  about(
    z.strictObject({
      name: z.exactOptional(words(80, "For explanations.", "no-default-route")),
      match: z.exactOptional(match),
      set: z.exactOptional(set),
      action: about(
        z._default(z.enum(["accept", "reject", "next"]), "accept"),
        "accept or reject the route, or go on with the next rule.",
      ),
    }),
    "One rule.",
  ),
);

const policy = z.lazy(() =>
  about(
    z.strictObject({
      default: oneOf(["accept", "reject"], "What becomes of a route that no rule accepts or rejects."),
      rules: about(z._default(z.array(rule).check(z.maxLength(RULES_MAX)), []), "The rules, in their order."),
    }),
    "A policy.",
  ),
);

export const policies = about(
  z._default(z.record(name("A policy's name", "from-leafs"), policy), {}),
  "Policies by name, for the neighbors' `import` and `export`. Two are always there: all and none.",
);

export type PolicyText = z.output<typeof policy>;
export type MatchText = z.output<typeof match>;
export type SetText = z.output<typeof set>;
