import { expect, test, vi } from "vitest";
import type { PodAnswer } from "../../../src/agent/agent-messages.ts";
import { ipv4 } from "../../../src/base/ipv4-addr.ts";
import { err, ok } from "../../../src/base/result.ts";
import { SeededRng } from "../../../src/base/rng.ts";
import type { PodRow } from "../../../src/control/inspect.ts";
import type { Logger } from "../../../src/io/logger.ts";
import type { PodWish } from "../../../src/node/config.ts";
import { PodWishes } from "../../../src/node/pod-wishes.ts";

function noted(): { readonly logger: Logger; readonly lines: string[] } {
  const lines: string[] = [];
  const log = (level: string, _room: string, _event: string, message: string): void =>
    void lines.push(`${level}: ${message}`);
  return { logger: { log } as unknown as Logger, lines };
}

const wish = (name: string, ip?: string): PodWish => ({ name, ip: ip === undefined ? undefined : ipv4(ip) });
const row = { name: "a" } as PodRow;

test("each is tried once, those with an address of their own first", () => {
  const pods = new PodWishes(
    [wish("a"), wish("b", "10.244.1.2"), wish("c")],
    new SeededRng(1),
    noted().logger,
    () => {},
  );
  const tried: string[] = [];
  expect(pods.waiting).toBe(true);
  const add = async ({ name }: PodWish) => {
    tried.push(name);
    return { result: ok(row) };
  };
  pods.attach(add);
  pods.attach(add);
  expect(tried).toEqual(["b", "a", "c"]);
  expect(pods).toMatchObject({ waiting: false, failed: [] });
});

test("one that cannot be attached is kept with its reason, and does not keep the others", async () => {
  let told = 0;
  const { logger, lines } = noted();
  const pods = new PodWishes([wish("a", "10.9.9.9"), wish("b")], new SeededRng(1), logger, () => told++);
  pods.attach(async ({ ip }) => ({
    result: ip === undefined ? ok(row) : err("that address is not to be had"),
  }));
  await vi.waitFor(() => expect(told).toBe(1));
  expect(pods.failed).toEqual([{ name: "a", reason: "that address is not to be had" }]);
  expect(lines).toEqual(["error: --pod a: that address is not to be had"]);
  pods.forget("b");
  expect(pods.failed).toHaveLength(1);
  expect(told).toBe(1);
  pods.forget("a");
  expect(pods.failed).toEqual([]);
  expect(told).toBe(2);
});

test("what fails for a passing reason is tried until it works, ever less often, and nothing once the node stops", async () => {
  vi.useFakeTimers();
  try {
    const { logger, lines } = noted();
    const pods = new PodWishes([wish("a"), wish("b")], new SeededRng(1), logger, () => {});
    const tries = { a: 0, b: 0 };
    const at: number[] = [];
    pods.attach(async ({ name }) => {
      const nth = ++tries[name as "a" | "b"];
      if (name === "b") at.push(Date.now());
      if (name === "a" && nth === 3) return { result: ok(row) };
      return { result: err("the store is away"), passing: true };
    });
    await vi.advanceTimersByTimeAsync(600_000);
    expect(tries.a).toBe(3);
    // At most every 7.5 s on average: full jitter up to 15 s.
    expect(tries.b).toBeGreaterThan(40);
    expect(tries.b).toBeLessThan(160);
    expect(pods.failed).toEqual([]);
    // Full jitter: the first five pauses together are at most 31 s, and those that follow 15 s each.
    const gaps = at.slice(1).map((time, i) => time - (at[i] as number));
    expect(gaps[0]).toBeLessThanOrEqual(1000);
    expect(gaps[1]).toBeLessThanOrEqual(2000);
    expect(Math.max(...gaps)).toBeLessThanOrEqual(15_000);
    expect(Math.max(...gaps)).toBeGreaterThan(8000);
    expect(new Set(lines)).toEqual(
      new Set(["a", "b"].map((name) => `warn: --pod ${name}: the store is away; it will be tried again`)),
    );
    pods.stop();
    expect(vi.getTimerCount()).toBe(0);
  } finally {
    vi.useRealTimers();
  }
});

test("a node that stops while a pod is being attached tries nothing more, and says nothing", async () => {
  const { logger, lines } = noted();
  const pods = new PodWishes([wish("a"), wish("b")], new SeededRng(1), logger, () => {
    throw new Error("nothing has changed");
  });
  let tries = 0;
  const answers: ((answer: PodAnswer) => void)[] = [];
  pods.attach(() => {
    tries++;
    return new Promise((resolve) => answers.push(resolve));
  });
  pods.stop();
  answers[0]?.({ result: err("the store is away"), passing: true });
  answers[1]?.({ result: err("that address is not to be had") });
  await new Promise((resolve) => setTimeout(resolve, 1500));
  expect([tries, lines, pods.failed]).toEqual([2, [], []]);
});
