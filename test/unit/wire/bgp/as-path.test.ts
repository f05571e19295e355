import { describe, expect, test } from "vitest";
import {
  type AsPath,
  asPathLen,
  asPathLength,
  countAs,
  emitAsPath,
  formatAsPath,
  mergeAs4Path,
  neighborAs,
  originAs,
  parseAsPath,
  prepend,
  SegmentType,
  sameAsPath,
} from "../../../../src/wire/bgp/as-path.ts";
import { emitAttributes } from "../../../../src/wire/bgp/attributes/emit-attributes.ts";
import { NO_ATTRIBUTES } from "../../../../src/wire/bgp/attributes/path-attributes.ts";
import { parseUpdate } from "../../../../src/wire/bgp/update.ts";
import { EBGP, update, written } from "../../../support/bgp.ts";
import { hexOf } from "../../../support/dissect.ts";

const seq = (...asns: number[]) => ({ type: SegmentType.SEQUENCE, asns });
const set = (...asns: number[]) => ({ type: SegmentType.SET, asns });
const confed = (...asns: number[]) => ({ type: SegmentType.CONFED_SEQUENCE, asns });
const T = 23456;

interface Merge {
  readonly name: string;
  readonly asPath: AsPath;
  readonly as4Path: AsPath;
  readonly want: AsPath;
}

// GoBGP's worked examples, TestAsPathAs4Trans1..5 and TestAsPathAs4TransInvalid1..4.
const merges: readonly Merge[] = [
  {
    name: "Trans1: the tail is replaced",
    asPath: [seq(65000, 4000, T, T, 40001)],
    as4Path: [seq(400000, 300000, 40001)],
    want: [seq(65000, 4000, 400000, 300000, 40001)],
  },
  {
    name: "Trans2: a set in front stays",
    asPath: [seq(65000, 4000), set(10, 20, 30), seq(T, T, 40001)],
    as4Path: [seq(400000, 300000, 40001)],
    want: [seq(65000, 4000), set(10, 20, 30), seq(400000, 300000, 40001)],
  },
  {
    name: "Trans3: a set counts one",
    asPath: [seq(65000, 4000), set(10, 20, 30), seq(T, T, 40001)],
    as4Path: [seq(3000, 400000, 300000, 40001)],
    want: [seq(65000, 4000, 3000, 400000, 300000, 40001)],
  },
  {
    name: "Trans4: a set at the end of AS4_PATH",
    asPath: [seq(65000, 4000, T, T, 40001)],
    as4Path: [seq(400000, 300000, 40001), set(10, 20, 30)],
    want: [seq(65000, 400000, 300000, 40001), set(10, 20, 30)],
  },
  {
    name: "Trans5: a set at the beginning of AS4_PATH",
    asPath: [seq(65000, 4000, T, T, 40001)],
    as4Path: [set(10, 20, 30), seq(400000, 300000, 40001)],
    want: [seq(65000), set(10, 20, 30), seq(400000, 300000, 40001)],
  },
  {
    name: "Invalid1: AS4_PATH is longer and ignored",
    asPath: [seq(65000, 4000, T, T, 40001)],
    as4Path: [seq(100000, 65000, 4000, 400000, 300000, 40001)],
    want: [seq(65000, 4000, T, T, 40001)],
  },
  {
    name: "Invalid2: AS4_PATH is shorter than the substitutions",
    asPath: [seq(65000, 4000, T, T, 40001)],
    as4Path: [seq(300000, 40001)],
    want: [seq(65000, 4000, T, 300000, 40001)],
  },
  {
    name: "Invalid3: no AS4_PATH",
    asPath: [seq(65000, 4000, T, T, 40001)],
    as4Path: [],
    want: [seq(65000, 4000, T, T, 40001)],
  },
  {
    name: "equal lengths: AS4_PATH replaces all",
    asPath: [seq(T, 40001)],
    as4Path: [seq(400000, 40001)],
    want: [seq(400000, 40001)],
  },
  {
    name: "a leading confederation counts nothing and stays",
    asPath: [confed(65100, 65101), seq(65000, T, 40001)],
    as4Path: [seq(400000, 40001)],
    want: [confed(65100, 65101), seq(65000, 400000, 40001)],
  },
  {
    name: "a leading confederation stays even where all else is replaced",
    asPath: [confed(65100), seq(T)],
    as4Path: [seq(400000)],
    want: [confed(65100), seq(400000)],
  },
  {
    name: "a confederation behind a part that stays, stays; behind one that goes, goes",
    asPath: [seq(1), confed(65100), seq(2, T), confed(65101)],
    as4Path: [seq(400000)],
    want: [seq(1), confed(65100), seq(2, 400000)],
  },
  {
    name: "what does not fit into one segment is not joined",
    asPath: [seq(...new Array<number>(254).fill(7)), seq(T, T)],
    as4Path: [seq(400000, 300000)],
    want: [seq(...new Array<number>(254).fill(7)), seq(400000, 300000)],
  },
];

describe("AS4_PATH", () => {
  test.each(merges)("$name", ({ asPath, as4Path, want }) => {
    expect(mergeAs4Path(asPath, as4Path)).toEqual(want);
  });

  const old = { ...EBGP, as4: false, peerAs: 65000 };
  /** AS_PATH 65000 23456 40001, and what else is given. */
  const path = (extra: string) => {
    const parsed = parseUpdate(
      update({ attributes: `40010100 4002080203fde85ba09c41 4003040a000001${extra}`, nlri: "18c00002" }),
      old,
    );
    expect(parsed.rung).toBe(parsed.errors.length > 0 ? "attribute-discard" : "none");
    return {
      path: formatAsPath(parsed.attributes?.asPath as AsPath),
      aggregator: parsed.attributes?.aggregator,
    };
  };

  test("Invalid4: a segment without an AS is malformed, and the attribute forgotten", () => {
    expect(path("c011020200").path).toBe("65000 23456 40001");
  });

  test("is merged into the path, and its confederation's segments are not", () => {
    expect(path("c0110a0202000186a000009c41").path).toBe("65000 100000 40001");
    expect(path("c011100301000003e80202000186a000009c41").path).toBe("65000 100000 40001");
  });

  test("an AGGREGATOR that names another AS than AS_TRANS beside AS4_AGGREGATOR: both shadows are ignored", () => {
    const shadows = "c0110a0202000186a000009c41 c01208000186a00a000009";
    expect(path(`c00706fde80a000007${shadows}`)).toEqual({
      path: "65000 23456 40001",
      aggregator: { as: 65000, addr: 0x0a000007 },
    });
    expect(path(`c007065ba00a000007${shadows}`)).toEqual({
      path: "65000 100000 40001",
      aggregator: { as: 100000, addr: 0x0a000009 },
    });
  });

  test("one shadow without the other is believed as far as it goes", () => {
    expect(path("c00706fde80a000007 c0110a0202000186a000009c41")).toEqual({
      path: "65000 100000 40001",
      aggregator: { as: 65000, addr: 0x0a000007 },
    });
    expect(path("c01208000186a00a000009")).toEqual({ path: "65000 23456 40001", aggregator: undefined });
  });
});

describe("to a two-octet speaker", () => {
  const emit = (asPath: AsPath, as?: number) =>
    hexOf(
      emitAttributes(
        {
          ...NO_ATTRIBUTES,
          asPath,
          aggregator: as === undefined ? undefined : { as, addr: 1 },
        },
        { as4: false },
      ),
    );

  test("numbers that fit need no shadow", () => {
    expect(emit([seq(65000, 1)], 65000)).toBe("4002060202fde80001c00706fde800000001");
  });

  test("numbers that do not fit become AS_TRANS and stand in the shadows", () => {
    expect(emit([seq(65000, 100000)], 100000)).toBe(
      "4002060202fde85ba0c007065ba000000001c0110a02020000fde8000186a0c01208000186a000000001",
    );
  });

  test("a confederation never shows in AS4_PATH, and alone calls for none", () => {
    expect(emit([confed(100000), seq(100001)])).toBe("40020803015ba002015ba0c011060201000186a1");
    expect(emit([confed(100000), seq(1)])).toBe("40020803015ba002010001");
  });
});

describe("prepend", () => {
  test("opens a segment, fills the leading sequence, and opens another when it is full", () => {
    expect(prepend([], 1)).toEqual([seq(1)]);
    expect(prepend([seq(2, 3)], 1, 2)).toEqual([seq(1, 1, 2, 3)]);
    expect(prepend([set(2, 3)], 1)).toEqual([seq(1), set(2, 3)]);
    const full = [seq(...new Array<number>(255).fill(2))];
    expect(prepend(full, 1)).toEqual([seq(1), ...full]);
    const long = prepend([seq(...new Array<number>(250).fill(2))], 1, 300);
    expect(long.map(({ asns }) => asns.length)).toEqual([40, 255, 255]);
    expect(long.map(({ asns }) => asns.length).reduce((x, y) => x + y)).toBe(550);
  });

  test("inside a confederation its own sequence leads", () => {
    expect(prepend([seq(2)], 65100, 1, SegmentType.CONFED_SEQUENCE)).toEqual([confed(65100), seq(2)]);
  });

  test("does not touch the path that it is given", () => {
    const path = [seq(2)];
    prepend(path, 1);
    expect(path).toEqual([seq(2)]);
  });
});

test("what the decision process asks of a path", () => {
  const path = [confed(65100), seq(1, 2), set(3, 4), seq(5)];
  expect(asPathLength(path)).toBe(4);
  expect(neighborAs(path)).toBe(1);
  expect(originAs(path)).toBe(5);
  expect(originAs([seq(1), set(2)])).toBeUndefined();
  expect(neighborAs([set(1)])).toBeUndefined();
  expect(neighborAs([])).toBeUndefined();
  expect(countAs([seq(1, 2, 1), set(1)], 1)).toBe(3);
  expect(
    sameAsPath(
      path,
      path.map((one) => ({ ...one })),
    ),
  ).toBe(true);
  expect(sameAsPath(path, [confed(65100), seq(1, 2), set(3, 4), seq(6)])).toBe(false);
  expect(sameAsPath([seq(1)], [set(1)])).toBe(false);
  expect(formatAsPath([confed(65100), seq(1, 2), set(3, 4), { type: 4, asns: [65101] }])).toBe(
    "(65100) 1 2 {3 4} [65101]",
  );
});

test("a sequence beyond 255 is written as several segments, the remainder in front", () => {
  const path = [seq(...Array.from({ length: 600 }, (_, i) => i + 1))];
  const bytes = written((out) => emitAsPath(out, path, 2));
  expect(bytes.length).toBe(asPathLen(path, 2));
  const parsed = parseAsPath(bytes, 0, bytes.length, 2);
  expect(parsed.ok && parsed.value.map(({ asns }) => asns.length)).toEqual([90, 255, 255]);
  expect(parsed.ok && parsed.value.flatMap(({ asns }) => asns)).toEqual(path[0]?.asns);
});
