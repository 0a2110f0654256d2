import type { Locator } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { System } from "./system";

let system: System;
beforeAll(async () => { system = await System.start(); });
afterAll(async () => { await system.stop(); });

test("an environment's nodes, logs and variables are there, live", async () => {
  const session = await system.signIn();
  const info = (await system.call("environment/control/rest/getenvinfo", { envName: "my-project" })) as { nodes: { id: number }[] };
  const nodeId = String(info.nodes[0]!.id);
  await fetch(`${system.url}/1.0/environment/control/rest/addcontainerenvvars`, {
    method: "POST",
    body: new URLSearchParams({ session, envName: "my-project", nodeId, vars: JSON.stringify({ APP_COLOUR: "blue" }) }),
  });
  const visitor = await system.visitor();
  const { page } = visitor;
  await visitor.signIn();
  await page.getByRole("link", { name: "My project" }).click();
  await page.getByRole("heading", { name: "My project" }).waitFor();
  await page.getByRole("row", { name: /web.*running/ }).waitFor();
  const log = page.getByLabel("The end of the log");
  await log.getByText(/serving/).waitFor();
  // A line is added every five seconds.
  const before = (await log.textContent())!.length;
  await expect.poll(async () => (await log.textContent())!.length, { timeout: 20_000 }).toBeGreaterThan(before);
  const variables = page.getByRole("region", { name: "Variables" });
  await variables.getByRole("row", { name: /APP_COLOUR/ }).waitFor();
  expect(await variables.textContent()).not.toContain("blue");
  await variables.getByRole("button", { name: "Show the values" }).click();
  await variables.getByText("blue").waitFor();
  await visitor.look("environment");
  await system.call("environment/control/rest/stopenv", { envName: "my-project" });
  await page.getByRole("row", { name: /web.*stopped/ }).waitFor({ timeout: 1000 });
  await page.goto("/environments/none");
  await page.getByText("There is no such environment.").waitFor();
  await visitor.leave();
});

test("variables are added, changed and removed, and what the operator does not allow is told beside the field", async () => {
  const visitor = await system.visitor();
  const { page } = visitor;
  await visitor.signIn();
  await page.goto("/environments/my-project");
  const session = await system.signIn();
  const info = (await system.call("environment/control/rest/getenvinfo", { envName: "my-project" })) as { nodes: { id: number }[] };
  const fields = { session, envName: "my-project", nodeId: String(info.nodes[0]!.id) };
  const given = async () => {
    const answer = await fetch(`${system.url}/1.0/environment/control/rest/getcontainerenvvars`, { method: "POST", body: new URLSearchParams(fields) });
    return ((await answer.json()) as { object: Record<string, string> }).object;
  };
  const before = await given();
  const variables = page.getByRole("region", { name: "Variables" });
  const told = variables.getByRole("status");

  await variables.getByRole("button", { name: "Add a variable" }).click();
  const add = page.getByRole("dialog", { name: "Add a variable" });
  const name = add.getByRole("textbox", { name: /^Name/ });
  await name.fill("LD_PRELOAD");
  await add.getByLabel("Value").fill("evil.so");
  await add.getByRole("button", { name: "Add", exact: true }).click();
  await add.getByText("the variables that the operator allows for `web` are `APP_*`").waitFor();
  await expect.poll(() => name.getAttribute("aria-invalid")).toBe("true");
  await visitor.look("environment-variable-refused");
  await name.fill("APP_GREETING");
  await add.getByLabel("Value").fill("good day\nand good night");
  await add.getByRole("button", { name: "Add", exact: true }).click();
  await told.getByText("“APP_GREETING” was added.").waitFor();
  expect(await given()).toEqual({ ...before, APP_GREETING: "good day\nand good night" });

  await variables.getByRole("button", { name: "Add a variable" }).click();
  await name.fill("APP_GREETING");
  await add.getByText("There is one of this name already").waitFor();
  await page.keyboard.press("Escape");
  await add.waitFor({ state: "detached" });

  await variables.getByRole("button", { name: "Change APP_GREETING" }).click();
  const change = page.getByRole("dialog", { name: "Change APP_GREETING" });
  expect(await change.getByLabel("Value").inputValue()).toBe("good day\nand good night");
  await visitor.look("environment-variable-change");
  await change.getByLabel("Value").fill("good evening");
  await change.getByRole("button", { name: "Save" }).click();
  await told.getByText("“APP_GREETING” was changed.").waitFor();
  expect(await given()).toEqual({ ...before, APP_GREETING: "good evening" });

  await variables.getByRole("button", { name: "Remove APP_GREETING" }).click();
  const remove = page.getByRole("dialog", { name: "Remove a variable?" });
  await remove.getByText("the node does without “APP_GREETING”").waitFor();
  await visitor.look("environment-variable-remove");
  await remove.getByRole("button", { name: "Remove", exact: true }).click();
  await told.getByText("“APP_GREETING” was removed.").waitFor();
  await variables.getByRole("row", { name: /APP_GREETING/ }).waitFor({ state: "detached" });
  expect(await given()).toEqual(before);
  await visitor.leave();
});

test("the reference has every method for everybody, and tries it with a token that is kept nowhere", async () => {
  const visitor = await system.visitor();
  const { page } = visitor;
  await page.goto("/");
  await page.getByRole("link", { name: "API reference" }).click();
  await page.getByRole("heading", { name: "environment.control", exact: true }).waitFor();
  await visitor.look("reference-not-signed-in");
  await page.goto("/docs#environment.control.GetEnvs");
  await page.reload();
  const method = page.getByRole("region", { name: "GetEnvs" });
  await method.getByText("Lists the account's environments").waitFor();
  await page.getByLabel("A token to try methods with").and(page.locator("input")).fill(system.token);
  await method.getByRole("button", { name: "Try it" }).click();
  await method.getByLabel("The answer").getByText('"envName": "my-project"').waitFor();
  await page.getByRole("button", { name: /^CreateEnvironment/ }).click();
  const create = page.getByRole("region", { name: "CreateEnvironment" });
  // What is open above closes first, and the button moves with it.
  await method.waitFor({ state: "hidden" });
  await create.getByRole("button", { name: "Try it" }).click();
  await create.getByLabel("The answer").getByText("8202").waitFor();
  await visitor.look("reference");
  const kept = await page.evaluate(() => [...Object.values<string>(localStorage), ...Object.values<string>(sessionStorage), location.href].join());
  expect(kept).not.toContain(system.token);
  const document = (await (await fetch(`${system.url}/openapi.json`)).json()) as { paths: object };
  await expect.poll(() => page.locator(".mantine-Accordion-control").count()).toBe(Object.keys(document.paths).length);
  expect(await visitor.context.cookies()).toEqual([]);
  await page.reload();
  expect(await page.getByLabel("A token to try methods with").and(page.locator("input")).inputValue()).toBe("");
  await page.getByRole("link", { name: "Sign in" }).click();
  await visitor.password.waitFor();
  await visitor.leave();
});

test("what ends late ends no other question, and what fails late is told in the page", async () => {
  const visitor = await system.visitor();
  const { page } = visitor;
  await visitor.signIn();
  const start = () => system.call("environment/control/rest/startenv", { envName: "my-project" });
  expect(await start()).toEqual({ result: 0 });
  const row = page.getByRole("row", { name: /my-project/ });
  await row.getByText("running", { exact: true }).waitFor();
  const ask = async (action: string) => {
    await row.getByRole("button", { name: "Actions for my-project" }).click();
    await page.getByRole("menuitem", { name: action, exact: true }).click();
    return page.getByRole("dialog", { name: `${action}?` });
  };
  /** Begins an action that does not end before it may, and closes its question. */
  const leave = async (action: string, path: RegExp, ending: "continue" | "abort") => {
    let end: () => void = () => undefined;
    const may = new Promise<void>((resolve) => { end = resolve; });
    await page.route(path, async (route) => { await may; await (ending === "abort" ? route.abort("connectionrefused") : route.continue()); });
    const question = await ask(action);
    await question.getByRole("button", { name: action, exact: true }).click();
    await question.getByText("You can close this: it goes on.").waitFor();
    await question.getByRole("button", { name: "Close" }).last().click();
    await question.waitFor({ state: "detached" });
    return end;
  };
  const end = await leave("Stop", /stopenv$/, "continue");
  const other = await ask("Restart");
  await other.waitFor();
  const ended = page.waitForEvent("requestfinished", (request) => request.url().endsWith("stopenv"));
  end();
  await ended;
  await row.getByText("stopped").waitFor();
  await other.getByRole("button", { name: "Cancel" }).click();
  await other.waitFor({ state: "detached" });

  const fail = await leave("Start", /startenv$/, "abort");
  await page.getByRole("link", { name: "Settings" }).click();
  await page.getByRole("row", { name: /first steps/ }).waitFor();
  fail();
  const told = page.getByRole("alert").filter({ hasText: "Start “my-project”: The service does not answer." });
  await told.waitFor();
  await visitor.look("environments-failed-late");
  await told.getByRole("button", { name: "Close" }).click();
  await told.waitFor({ state: "detached" });
  await visitor.leave(/ERR_CONNECTION_REFUSED/);
});

test("that nothing is known of the uses of tokens is told, and not taken for none", async () => {
  const visitor = await system.visitor();
  const { page } = visitor;
  await visitor.signIn();
  const uses = /gettokenuses$/;
  await page.route(uses, (route) => route.abort("connectionrefused"));
  await page.goto("/settings/tokens");
  const row = page.getByRole("row", { name: /first steps/ });
  await row.getByText("not known").waitFor();
  const told = page.getByRole("alert").filter({ hasText: "How often the tokens are used is not known" });
  await told.waitFor();
  await visitor.look("tokens-uses-unknown");
  await page.unroute(uses);
  await row.getByRole("img", { name: /use/ }).waitFor();
  await told.waitFor({ state: "detached" });
  await visitor.leave(/ERR_CONNECTION_REFUSED/);
});

test("an outage is told, and over by itself", async () => {
  const visitor = await system.visitor();
  const { page } = visitor;
  await visitor.signIn();
  await page.getByRole("row", { name: /my-project/ }).waitFor();
  await system.kill();
  await page.getByRole("status").filter({ hasText: "The service does not answer" }).waitFor();
  await visitor.look("environments-outage");
  await system.restart();
  await page.getByRole("status").filter({ hasText: "The service does not answer" }).waitFor({ state: "detached" });
  await page.getByRole("row", { name: /my-project/ }).waitFor();

  // What is asked for the first time while nothing answers comes as well.
  const tries: Record<string, Locator> = {
    "Access Tokens": page.getByRole("row", { name: /first steps/ }),
    "Sessions": page.getByRole("row", { name: /this one/ }),
    "API": page.getByRole("heading", { name: "environment.control", exact: true }),
  };
  await page.reload();
  await page.getByRole("row", { name: /my-project/ }).waitFor();
  await system.kill();
  await page.getByRole("link", { name: "Settings" }).click();
  for (const [name, there] of Object.entries(tries)) {
    await page.getByRole("link", { name, exact: true }).click();
    await page.getByRole("alert").filter({ hasText: "The service does not answer. This page tries again by itself." }).waitFor();
    expect(await there.count()).toBe(0);
  }
  await visitor.look("reference-outage");
  await system.restart();
  await tries.API!.waitFor();
  await page.getByRole("link", { name: "Settings" }).click();
  for (const [name, there] of Object.entries(tries).slice(0, 2)) {
    await page.getByRole("link", { name, exact: true }).click();
    await there.waitFor();
  }
  await visitor.leave(/ERR_(CONNECTION_REFUSED|INCOMPLETE_CHUNKED_ENCODING|CONNECTION_RESET|EMPTY_RESPONSE)/);
});
