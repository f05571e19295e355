import { describe, expect, test } from "vitest";
import { decideRestart, describeEnd, describeExit, STABLE_MS } from "../../../src/lab/restart-policy.ts";

const rule = { policy: "on-failure", maxRetries: 3, backoffMs: 100 } as const;
const crash = { code: 1, signal: undefined, ranMs: 10 };

describe("decideRestart", () => {
  test("doubles the pause and gives up after maxRetries in a row", () => {
    const pauses: (number | string)[] = [];
    let inARow = 0;
    for (let i = 0; i < 5; i++) {
      const decision = decideRestart(rule, crash, inARow);
      pauses.push(decision.t === "restart" ? decision.afterMs : decision.why);
      if (decision.t === "restart") inARow = decision.restarts;
    }
    const end = "it was started again 3 times in a row and ended within 30 s each time";
    expect(pauses).toEqual([100, 200, 400, end, end]);
  });

  test("counts from zero after a long life", () => {
    expect(decideRestart(rule, { ...crash, ranMs: STABLE_MS }, 3)).toEqual({
      t: "restart",
      afterMs: 100,
      restarts: 1,
    });
  });

  test("caps the pause", () => {
    expect(decideRestart({ ...rule, maxRetries: 1000 }, crash, 900)).toMatchObject({ afterMs: 30_000 });
  });

  test("on-failure leaves an ordinary end, always does not, never restarts nothing", () => {
    const fine = { code: 0, signal: undefined, ranMs: 10 };
    const killed = { code: undefined, signal: "SIGKILL", ranMs: 10 };
    expect(decideRestart(rule, fine, 0).t).toBe("leave");
    expect(decideRestart({ ...rule, policy: "always" }, fine, 0).t).toBe("restart");
    expect(decideRestart(rule, killed, 0).t).toBe("restart");
    expect(decideRestart({ ...rule, policy: "never" }, killed, 0).t).toBe("leave");
  });
});

test("why it is given up: in one, in few words, and by the number", () => {
  const why = (maxRetries: number): unknown => decideRestart({ ...rule, maxRetries }, crash, maxRetries);
  expect(why(0)).toEqual({ t: "leave", why: "restart.maxRetries is 0" });
  expect(why(1)).toEqual({ t: "leave", why: "it was started again once and ended within 30 s" });
});

test("an end in words: of a process, and of one that never was", () => {
  expect(describeEnd("signal SIGKILL")).toBe("ended with signal SIGKILL");
  expect(describeEnd("it could not be started: ENOSPC")).toBe("could not be started: ENOSPC");
});

test("an exit in words", () => {
  expect(describeExit({ code: 5, signal: undefined })).toBe("exit code 5");
  expect(describeExit({ code: undefined, signal: "SIGKILL" })).toBe("signal SIGKILL");
});
