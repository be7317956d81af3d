import { defineConfig } from "vitest/config";

const root = new URL("..", import.meta.url).pathname;

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: "unit",
          root,
          include: ["test/unit/**/*.test.ts", "test/property/**/*.test.ts", "test/architecture.test.ts"],
          testTimeout: 20_000,
          // Half of the time the tests wait for programs and locks.
          maxWorkers: 4,
          expect: { poll: { timeout: 10_000 } },
        },
      },
      {
        test: {
          name: "contract",
          root,
          include: ["test/contract/**/*.test.ts"],
          maxWorkers: 2,
          testTimeout: 60_000,
          hookTimeout: 60_000,
        },
      },
      {
        test: {
          name: "e2e",
          root,
          include: ["test/e2e/**/*.test.ts"],
          testTimeout: 600_000,
          hookTimeout: 120_000,
          // Many of them wait: for servers, for locks, for a moment to kill at.
          maxWorkers: 2,
        },
      },
    ],
  },
});
