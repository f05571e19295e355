// Ctrl-C and other signals during `exec`: the command may end in its own way, but a node that hangs holds nobody.
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { IncomingRequest } from "../../../src/io/ipc/connection.ts";
import { FakeLab } from "../../support/fake-lab.ts";

let lab: FakeLab;
/** The exec that runs, and how often it was interrupted. */
let request: IncomingRequest;
let interrupts: number;

beforeEach(async () => {
  lab = await FakeLab.start();
  interrupts = 0;
});
afterEach(async () => {
  vi.restoreAllMocks();
  await lab.dispose();
});

/** Starts a command in a pod. `onInterrupt` is what the node does at an interrupt. */
async function start(onInterrupt: () => void = () => undefined): Promise<Promise<number>[]> {
  const asked = new Promise<void>((resolve) => {
    lab.answers = {
      exec: (_, incoming) => {
        request = incoming;
        incoming.onInterrupt = () => {
          interrupts++;
          onInterrupt();
        };
        resolve();
        return undefined;
      },
    };
  });
  const running = lab.podloom("exec", "web", "--", "ping", "10.244.1.2");
  await asked;
  // In a list: a promise would be awaited.
  return [running];
}

function signal(name: NodeJS.Signals): void {
  process.emit(name, name);
}

test("SIGINT interrupts the command, which ends in its own way and with its own exit code", async () => {
  const [running] = await start(() => {
    request.chunk("stdout", "--- ping statistics ---\n");
    request.done({ exitCode: 1 });
  });
  signal("SIGINT");
  expect(await running).toBe(1);
  expect([lab.out, lab.err]).toEqual(["--- ping statistics ---\n", ""]);
});

test("a node that does not answer the interrupt is left after two seconds, with 130 and the reason", async () => {
  const [running] = await start();
  const started = performance.now();
  signal("SIGINT");
  expect(await running).toBe(130);
  expect(performance.now() - started).toBeGreaterThan(1500);
  expect(interrupts).toBeGreaterThan(0);
  expect(lab.err).toMatch(
    /^error: .*the node does not answer.* within 2 s \[PL_INTERRUPTED\]\n {2}.*podloom get nodes/,
  );
});

test("a second SIGINT waits no longer", async () => {
  const [running] = await start();
  const started = performance.now();
  signal("SIGINT");
  signal("SIGINT");
  expect(await running).toBe(130);
  expect(performance.now() - started).toBeLessThan(1500);
  expect(lab.err).toMatch(/the node does not answer/);
});

test.each([
  ["SIGTERM", 143],
  ["SIGHUP", 129],
] as const)("%s leaves at once with %i", async (name, code) => {
  const [running] = await start();
  const started = performance.now();
  signal(name);
  expect(await running).toBe(code);
  expect(performance.now() - started).toBeLessThan(1500);
  expect(lab.err).toBe("");
  // The lab hears it, and interrupts the command in the pod.
  await expect.poll(() => interrupts).toBe(1);
});

test("no listener and no timer stays behind", async () => {
  const before = process.listenerCount("SIGINT");
  const set = vi.spyOn(globalThis, "setTimeout");
  const clear = vi.spyOn(globalThis, "clearTimeout");
  const [running] = await start(() => request.done({ exitCode: 0 }));
  expect(process.listenerCount("SIGINT")).toBe(before + 1);
  signal("SIGINT");
  await running;
  expect(process.listenerCount("SIGINT")).toBe(before);
  // A timer that runs on would keep the command's process for two seconds.
  const grace = set.mock.results[set.mock.calls.findIndex(([, ms]) => ms === 2000)];
  expect(grace?.type).toBe("return");
  expect(clear.mock.calls.some(([timer]) => timer === grace?.value)).toBe(true);
});
