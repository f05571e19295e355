import { defineConfig } from "vitest/config";

const PURE = "test/unit/{base,wire,stack,tunnel,routing,control,agent,console}/**/*.test.ts";

// `npm test` runs what needs no root, no network and no Debian package; `test:interop` and `test:e2e` name the rest.
export default defineConfig({
  test: {
    // One kind of pool for all, since vitest runs pools one after the other; and more workers than cores, since much of the
    // contract suite is waiting.
    pool: "forks",
    maxWorkers: 4,
    testTimeout: 20_000,
    projects: [
      {
        // The rooms without Node: no process, file or module to fake, so nothing that a test could leave to the next one. Loading a
        // thousand modules once a worker, not once a file, saves a third of the time.
        extends: true,
        test: {
          name: "pure",
          include: [PURE, "test/{property,vectors,sim}/**/*.test.ts"],
          isolate: false,
        },
      },
      { extends: true, test: { name: "unit", include: ["test/unit/**/*.test.ts"], exclude: [PURE] } },
      {
        extends: true,
        test: { name: "fuzz", include: ["test/fuzz/**/*.test.ts"], testTimeout: 900_000 },
      },
      {
        extends: true,
        test: {
          name: "contract",
          include: ["test/contract/**/*.test.ts"],
          testTimeout: 60_000,
        },
      },
      {
        // Real processes that are cut, frozen and killed for a while: in CI only.
        extends: true,
        test: {
          name: "torture",
          include: ["test/torture/**/*.test.ts"],
          fileParallelism: false,
          testTimeout: 60_000,
        },
      },
      {
        extends: true,
        test: {
          name: "interop",
          include: ["test/interop/**/*.test.ts"],
          fileParallelism: false,
          testTimeout: 120_000,
          hookTimeout: 60_000,
        },
      },
      {
        extends: true,
        test: {
          name: "e2e",
          include: ["test/e2e/**/*.test.ts"],
          fileParallelism: false,
          testTimeout: 180_000,
          hookTimeout: 120_000,
        },
      },
    ],
  },
});
