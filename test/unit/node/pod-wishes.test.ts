import { expect, test, vi } from "vitest";
import { ipv4 } from "../../../src/base/ipv4-addr.ts";
import { err, ok } from "../../../src/base/result.ts";
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
  const pods = new PodWishes([wish("a"), wish("b", "10.244.1.2"), wish("c")], noted().logger, () => {});
  const tried: string[] = [];
  expect(pods.waiting).toBe(true);
  const add = async ({ name }: PodWish) => {
    tried.push(name);
    return ok(row);
  };
  pods.attach(add);
  pods.attach(add);
  expect(tried).toEqual(["b", "a", "c"]);
  expect(pods).toMatchObject({ waiting: false, failed: [] });
});

test("one that cannot be attached is kept with its reason, and does not keep the others", async () => {
  let told = 0;
  const { logger, lines } = noted();
  const pods = new PodWishes([wish("a", "10.9.9.9"), wish("b")], logger, () => told++);
  pods.attach(async ({ ip }) => (ip === undefined ? ok(row) : err("that address is not to be had")));
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
