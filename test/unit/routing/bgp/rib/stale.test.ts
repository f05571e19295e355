import { describe, expect, test } from "vitest";
import { RibWorld, V4, V6 } from "../../../../support/rib-world.ts";

const P = "10.1.0.0/16";
const Q = "10.2.0.0/16";
const R = "10.3.0.0/16";
const S = "2001:db8::/32";

/** Prefixes of the neighbour, those that are stale in parentheses. */
function held(world: RibWorld, peer: ReturnType<RibWorld["peer"]>): string[] {
  return [P, Q, R, S].flatMap((text) => {
    const family = text === S ? V6 : V4;
    const path = [...world.rib.pathsOf(peer, family)].find(
      (one) => world.rib.lookup(one.dest) === world.dest(text),
    );
    return path === undefined ? [] : [path.stale ? `(${text})` : text];
  });
}

/** A RIB in which `held` finds all destinations, whoever has told them. */
function world2(): { world: RibWorld; p2: ReturnType<RibWorld["peer"]> } {
  const world = new RibWorld();
  const other = world.peer(9);
  world.announce(other, [P, Q, R, S]);
  const p2 = world.peer(2);
  world.announce(p2, [P, Q, S]);
  world.run();
  return { world, p2 };
}

describe("a session that is lost", () => {
  test("takes all its paths with it", () => {
    const { world, p2 } = world2();
    world.rib.peerDown(p2, [], 0);
    expect(held(world, p2)).toEqual([]);
    expect(world.run().toSorted()).toEqual([`${P} p9 *`, `${Q} p9 *`, `${S} p9 *`]);
    expect(world.rib.prefixCount(p2, V4)).toBe(0);
  });

  test("with graceful restart, listed families are kept and stay chosen", () => {
    const { world, p2 } = world2();
    world.rib.peerDown(p2, [V4], 0);
    expect(held(world, p2)).toEqual([`(${P})`, `(${Q})`]);
    expect(world.run()).toEqual([`${S} p9 *`]);
    expect(world.best(P)).toBe("p2");
  });

  test("what is told again is fresh without a decision, the rest goes at the End-of-RIB", () => {
    const { world, p2 } = world2();
    world.rib.peerDown(p2, [V4, V6], 0);
    world.rib.peerUp(p2, { as: p2.as, bgpId: p2.bgpId }, 0);
    world.announce(p2, [P]);
    expect(held(world, p2)).toEqual([P, `(${Q})`, `(${S})`]);
    expect(world.run()).toEqual([]);
    world.rib.flushStale(p2, V4, 0);
    expect(held(world, p2)).toEqual([P, `(${S})`]);
    expect(world.run()).toEqual([`${Q} p9 *`]);
    world.rib.flushStale(p2, V6, 0);
    expect(held(world, p2)).toEqual([P]);
    expect(world.run()).toEqual([`${S} p9 *`]);
  });

  test("told again with other attributes is fresh as well", () => {
    const { world, p2 } = world2();
    world.rib.peerDown(p2, [V4], 0);
    world.announce(p2, [P], { med: 4 });
    world.rib.flushStale(p2, V4, 0);
    expect(held(world, p2)).toEqual([P]);
    world.withdraw(p2, [P]);
    expect(held(world, p2)).toEqual([]);
  });

  test("a second loss takes what was stale from the first", () => {
    const { world, p2 } = world2();
    world.rib.peerDown(p2, [V4], 0);
    world.announce(p2, [Q, R]);
    world.rib.peerDown(p2, [V4], 0);
    expect(held(world, p2)).toEqual([`(${Q})`, `(${R})`]);
    world.rib.peerDown(p2, [V4], 0);
    expect(held(world, p2)).toEqual([]);
    expect(world.run().toSorted()).toEqual([P, Q, R, S].map((text) => `${text} p9${text === R ? "" : " *"}`));
  });

  test("another neighbour's paths are not its", () => {
    const { world, p2 } = world2();
    world.rib.peerDown(p2, [V4], 0);
    expect(world.path(P, p2).stale).toBe(true);
    expect(world.dest(P).paths.filter((path) => path.stale)).toHaveLength(1);
    world.rib.flushStale(p2, V4, 0);
    expect(world.rib.count(V4)).toBe(3);
  });
});

describe("a refresh", () => {
  test("at its end, what was not told again goes; meanwhile it stays chosen", () => {
    const { world, p2 } = world2();
    world.rib.refreshBegun(p2, V4, 0);
    expect(held(world, p2)).toEqual([`(${P})`, `(${Q})`, S]);
    world.announce(p2, [Q]);
    world.announce(p2, [R]);
    expect(world.run()).toEqual([`${R} p2 *`]);
    expect(world.best(P)).toBe("p2");
    world.rib.refreshEnded(p2, V4, 0);
    expect(held(world, p2)).toEqual([Q, R, S]);
    expect(world.run()).toEqual([`${P} p9 *`]);
  });

  test("begun again, it begins anew", () => {
    const { world, p2 } = world2();
    world.rib.refreshBegun(p2, V4, 0);
    world.announce(p2, [P, Q]);
    world.rib.refreshBegun(p2, V4, 0);
    expect(held(world, p2)).toEqual([`(${P})`, `(${Q})`, S]);
    world.announce(p2, [Q]);
    world.rib.refreshEnded(p2, V4, 0);
    expect(held(world, p2)).toEqual([Q, S]);
  });

  test("an end without a beginning, or of another family, is nothing", () => {
    const { world, p2 } = world2();
    world.rib.peerDown(p2, [V4], 0);
    world.rib.refreshEnded(p2, V4, 0);
    expect(held(world, p2)).toEqual([`(${P})`, `(${Q})`]);
    world.rib.refreshBegun(p2, V4, 0);
    world.rib.refreshEnded(p2, V6, 0);
    expect(held(world, p2)).toEqual([`(${P})`, `(${Q})`]);
    world.rib.refreshEnded(p2, V4, 0);
    world.rib.refreshBegun(p2, V4, 0);
    world.announce(p2, [R]);
    world.rib.refreshEnded(p2, V4, 0);
    world.rib.refreshEnded(p2, V4, 0);
    expect(held(world, p2)).toEqual([R]);
  });

  test("a session that is lost amid one keeps what has not been told again yet, once", () => {
    const { world, p2 } = world2();
    world.rib.refreshBegun(p2, V4, 0);
    world.announce(p2, [Q]);
    world.rib.peerDown(p2, [V4], 0);
    expect(held(world, p2)).toEqual([`(${P})`, `(${Q})`]);
    world.rib.refreshEnded(p2, V4, 0);
    expect(held(world, p2)).toEqual([`(${P})`, `(${Q})`]);
    world.rib.peerDown(p2, [V4], 0);
    expect(held(world, p2)).toEqual([]);
  });
});

describe("held families", () => {
  test("collect paths and choose none, while others do", () => {
    const world = new RibWorld();
    const p2 = world.peer(2);
    world.announce(p2, [P]);
    world.rib.hold(V4);
    world.announce(p2, [Q, S]);
    expect(world.run()).toEqual([`${S} p2 *`]);
    expect(world.rib.run(0, 10)).toBe(false);
    expect(world.best(Q)).toBe("-");
    expect(world.rib.prefixCount(p2, V4)).toBe(2);
    world.rib.release(V4);
    expect(world.rib.run(0, 1)).toBe(true);
    expect(world.run().toSorted()).toEqual([`${P} p2 *`, `${Q} p2 *`]);
  });

  test("change what is collected until they are released", () => {
    const world = new RibWorld();
    const [p2, p3] = [world.peer(2), world.peer(3)];
    world.rib.hold(V4);
    world.announce(p2, [P, Q]);
    world.run();
    world.announce(p3, [P]);
    world.withdraw(p2, [P, Q]);
    world.run();
    world.rib.release(V4);
    expect(world.run()).toEqual([`${P} p3 *`]);
    expect(world.rib.count(V4)).toBe(1);
    world.announce(p2, [Q]);
    expect(world.run()).toEqual([`${Q} p2 *`]);
  });

  test("are held and released on their own", () => {
    const world = new RibWorld();
    const p2 = world.peer(2);
    world.rib.hold(V4);
    world.rib.hold(V6);
    world.rib.hold(V6);
    world.announce(p2, [P, S]);
    expect(world.run()).toEqual([]);
    world.rib.hold(V6);
    world.rib.release(V6);
    expect(world.run()).toEqual([`${S} p2 *`]);
    world.rib.release(V4);
    world.rib.release(V4);
    expect(world.run()).toEqual([`${P} p2 *`]);
  });
});
