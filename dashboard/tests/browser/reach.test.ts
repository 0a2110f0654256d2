import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import { System } from "./system";

let system: System;
beforeAll(async () => { system = await System.start(); });
afterAll(async () => { await system.stop(); });

test("everything is done without a mouse", async () => {
  const visitor = await system.visitor();
  const { page } = visitor;
  const { keyboard } = page;
  const focused = () => page.evaluate(() => document.activeElement?.getAttribute("aria-label") ?? document.activeElement?.textContent ?? "");
  /** Goes on until something has the focus. */
  const to = async (name: RegExp) => {
    for (let step = 0; step < 40; step++) {
      if (name.test(await focused())) return;
      await keyboard.press("Tab");
    }
    throw new Error(`${name} is not reached`);
  };
  await page.goto("/");
  await page.getByLabel("Login").waitFor();
  // The first field has the focus already.
  await keyboard.type(system.login);
  await keyboard.press("Tab");
  await keyboard.type(system.password);
  await keyboard.press("Enter");
  await page.getByRole("row", { name: /my-project/ }).getByText("running", { exact: true }).waitFor();

  await to(/^Actions for my-project$/);
  await keyboard.press("Enter");
  await page.getByRole("menuitem", { name: "Stop" }).waitFor();
  await expect.poll(focused).toBe("Stop");
  await keyboard.press("ArrowDown");
  await expect.poll(focused).toBe("Put to sleep");
  await keyboard.press("ArrowUp");
  await keyboard.press("Enter");
  await page.getByRole("dialog", { name: "Stop?" }).locator("button:focus", { hasText: "Stop" }).waitFor();
  await keyboard.press("Enter");
  await page.getByRole("row", { name: /my-project/ }).getByText("stopped").waitFor();
  // The focus is where it was.
  await expect.poll(focused).toMatch(/^Actions for my-project$/);

  await page.goto("/settings/tokens");
  await page.getByRole("row", { name: /first steps/ }).waitFor();
  await to(/^Select first steps$/);
  await keyboard.press("Space");
  await page.getByRole("checkbox", { name: "Select first steps", checked: true }).waitFor();
  await keyboard.down("Shift");
  for (let step = 0; step < 20 && (await focused()) !== "Edit"; step++) await keyboard.press("Tab");
  await keyboard.up("Shift");
  await keyboard.press("Enter");
  await page.getByRole("dialog", { name: "Edit access token" }).waitFor();
  await keyboard.press("Escape");
  await page.getByRole("dialog").waitFor({ state: "detached" });
  await expect.poll(focused).toBe("Edit");

  // Of the methods one row is on the way; from its box the arrows lead to its documentation, and to the other rows.
  await page.getByRole("button", { name: "Generate", exact: true }).focus();
  await keyboard.press("Enter");
  const methods = page.getByRole("grid", { name: "Methods" });
  await methods.waitFor();
  const search = page.getByLabel("Search");
  await search.focus();
  await keyboard.press("Tab");
  await keyboard.press("Tab");
  await methods.getByRole("checkbox").first().and(page.locator(":focus")).waitFor();
  await keyboard.press("ArrowDown");
  await methods.getByRole("checkbox").nth(1).and(page.locator(":focus")).waitFor();
  await keyboard.press("Tab");
  await methods.getByRole("link").first().and(page.locator(":focus")).waitFor();
  await keyboard.press("ArrowDown");
  await methods.getByRole("link").nth(1).and(page.locator(":focus")).waitFor();
  await keyboard.press("Tab");
  await page.getByLabel("Environments", { exact: true }).and(page.locator(":focus")).waitFor();
  await visitor.leave();
});

test("another site does nothing with a session that is open", async () => {
  const visitor = await system.visitor();
  await visitor.signIn();
  const start = () => system.call("environment/control/rest/startenv", { envName: "my-project" });
  expect(await start()).toEqual({ result: 0 });
  const stop = `${system.url}/1.0/environment/control/rest/stopenv`;
  const tries = [
    `<form method="post" action="${stop}"><input name="envName" value="my-project"></form><script>document.forms[0].submit()</script>`,
    `<script>location = "${stop}?envName=my-project"</script>`,
    `<img src="${stop}?envName=my-project"><iframe src="${system.url}/environments"></iframe>`,
    `<script>fetch("${stop}", { method: "POST", credentials: "include", mode: "no-cors", body: new URLSearchParams({ envName: "my-project" }) })</script>`,
  ];
  let tried = 0;
  const other: Server = createServer((request, answer) => {
    const page = tries[Number(request.url?.slice(1))];
    if (page !== undefined) tried += 1;
    answer.setHeader("content-type", "text/html");
    answer.end(page);
  });
  await new Promise<void>((resolve) => other.listen(0, "127.0.0.1", resolve));
  const { port } = other.address() as AddressInfo;
  for (const index of tries.keys()) {
    // To the browser `localhost` is another site than 127.0.0.1.
    const tab = await visitor.context.newPage();
    const asked = tab.waitForEvent("request", (request) => request.url().startsWith(stop));
    await Promise.all([asked, tab.goto(`http://localhost:${port}/${index}`, { waitUntil: "commit" })]);
    await tab.waitForLoadState("networkidle");
    await tab.close();
  }
  other.close();
  expect(tried).toBe(tries.length);
  expect(await system.call("environment/control/rest/getenvinfo", { envName: "my-project" })).toMatchObject({ result: 0, env: { status: 1 } });
  await visitor.leave();
});
