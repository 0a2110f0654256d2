import { defineConfig } from "vitest/config";

/** Long enough for a machine on which others build. */
const UNIT = { environment: "jsdom", setupFiles: ["tests/unit/jsdom.ts"], testTimeout: 30_000 };

export default defineConfig({
  test: {
    projects: [
      { test: { ...UNIT, name: "unit", include: ["src/**/*.test.ts", "src/**/*.test.tsx"] } },
      // A day ends where its owner is: its beginning and its end are tried far before and far behind UTC.
      ...["Pacific/Auckland", "America/Los_Angeles"].map((zone) => ({
        test: { ...UNIT, name: `unit in ${zone}`, include: ["src/tokens/{dates,expiry,changes}.test.{ts,tsx}"], env: { TZ: zone, ZONE: zone } },
      })),
      {
        test: {
          name: "browser",
          include: ["tests/browser/**/*.test.ts"],
          environment: "node",
          // A story waits for what it looks for by itself, and says what did not come.
          testTimeout: 120_000,
          hookTimeout: 120_000,
          fileParallelism: false,
        },
      },
    ],
  },
});
