import { afterAll, beforeAll, expect, test } from "vitest";
import { System } from "./system";

let system: System;
beforeAll(async () => { system = await System.start(); });
afterAll(async () => { await system.stop(); });

/** As large as README shows it well. */
const VIEWPORT = { width: 1100, height: 700 };
const DAY = 86_400_000;

const TOKENS = [
  { description: "deploys the shop", set: "Maven Plugin", days: 90, uses: 3 },
  { description: "nightly backup", set: "Extended Access", days: 365, uses: 7 },
  { description: "laptop, with the editor", set: "IDE Plugins", days: undefined, uses: 1 },
  { description: "load test of this week", set: "IDE Plugins", days: 2, uses: 5 },
];

test("how it looks, for README", async () => {
  const session = await system.signIn();
  for (const { description, set, days, uses } of TOKENS) {
    const expiry = days === undefined ? {} : { expiresAt: new Date(Date.now() + days * DAY).toISOString().slice(0, 19).replace("T", " ") };
    const body = new URLSearchParams({ session, password: system.password, description, tokenTemplate: set, ...expiry });
    const made = (await (await fetch(`${system.url}/1.0/users/authentication/rest/createtoken`, { method: "POST", body })).json()) as { token: { key: string } };
    for (let use = 0; use < uses; use++) {
      const answer = await fetch(`${system.url}/1.0/users/authentication/rest/checksign`, { headers: { authorization: `Bearer ${made.token.key}` } });
      expect(await answer.json()).toMatchObject({ result: 0 });
    }
  }
  const visitor = await system.visitor({ viewport: VIEWPORT });
  const { page } = visitor;
  await visitor.signIn();
  await page.goto("/settings/tokens");
  // Uses are written down a little later than they are.
  const used = page.getByRole("row", { name: /nightly backup.*7 uses/ });
  await expect.poll(async () => { await page.getByRole("button", { name: "Refresh" }).click(); return used.count(); }, { timeout: 30_000 }).toBe(1);
  await page.getByRole("row", { name: /nightly backup/ }).click();
  await visitor.look("readme-tokens");
  await page.setViewportSize({ width: VIEWPORT.width, height: 1280 });
  await page.getByRole("button", { name: "Generate", exact: true }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel(/^Description/).fill("stops what nobody uses at night");
  await dialog.getByRole("button", { name: "90 days" }).click();
  await dialog.getByLabel("Search").fill("env");
  await dialog.getByRole("checkbox", { name: "SleepEnv", exact: true }).check();
  await dialog.getByRole("checkbox", { name: "StopEnv", exact: true }).check();
  await dialog.getByText("Stops an environment: every process").waitFor();
  await dialog.getByLabel("Environments").fill("staging-*");
  await visitor.look("readme-generate");
  await visitor.leave();

  const dark = await system.visitor({ viewport: VIEWPORT, colorScheme: "dark" });
  await dark.signIn();
  await dark.page.getByRole("link", { name: "My project" }).click();
  await dark.page.getByLabel("The end of the log").getByText(/serving/).waitFor();
  await dark.look("readme-environment");
  await dark.leave();
});
