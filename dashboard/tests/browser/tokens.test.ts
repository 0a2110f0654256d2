import { readFile } from "node:fs/promises";
import type { BrowserContextOptions } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { ApiToken } from "../../src/api/schema.gen";
import { System, type Visitor } from "./system";

let system: System;
beforeAll(async () => { system = await System.start(); });
afterAll(async () => { await system.stop(); });

/** Signed in, at the list of tokens. */
async function atTokens(options: BrowserContextOptions = {}): Promise<Visitor> {
  const visitor = await system.visitor(options);
  await visitor.signIn();
  await visitor.page.getByRole("link", { name: "Settings" }).click();
  await visitor.page.getByRole("heading", { name: "Access Tokens" }).waitFor();
  await visitor.page.getByRole("table").waitFor();
  return visitor;
}

async function confirm({ page }: Visitor, label: string, password: string): Promise<void> {
  await page.getByLabel(/^Your password/).and(page.locator("input")).fill(password);
  await page.getByRole("dialog").getByRole("button", { name: label, exact: true }).click();
}

/** Makes a token for one method, and answers with its value. */
async function generate(visitor: Visitor, description: string): Promise<string> {
  const { page } = visitor;
  await page.getByRole("button", { name: "Generate", exact: true }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel(/^Description/).fill(description);
  await dialog.getByLabel("Search").fill("stopenv");
  await dialog.getByRole("checkbox", { name: "StopEnv", exact: true }).check();
  await dialog.getByRole("button", { name: "Generate", exact: true }).click();
  await confirm(visitor, "Generate", system.password);
  const value = await page.getByLabel("The token", { exact: true }).inputValue();
  await page.getByRole("button", { name: "I have saved it" }).click();
  await page.getByRole("row", { name: description }).waitFor();
  return value;
}

test("the story of the product page: from a new token to an environment that is stopped by it", async () => {
  const visitor = await atTokens();
  const { page, context } = visitor;
  await context.grantPermissions(["clipboard-read", "clipboard-write"]);
  await visitor.look("tokens");
  await page.getByRole("button", { name: "Generate", exact: true }).click();
  const dialog = page.getByRole("dialog", { name: "Generate access token" });
  await dialog.getByLabel(/^Description/).fill("stops my-project");
  await dialog.getByRole("button", { name: "30 days" }).click();
  await dialog.getByLabel("Search").fill("stopenv");
  await dialog.getByRole("checkbox", { name: "StopEnv", exact: true }).check();
  await dialog.getByText("Stops an environment: every process").waitFor();
  await dialog.getByLabel("Search").fill("");
  await dialog.getByLabel("Only Checked").check();
  await expect.poll(() => dialog.getByRole("checkbox").count()).toBe(2);
  await dialog.getByLabel("Environments").fill("my-*");
  await expect.poll(() => dialog.getByLabel("API", { exact: true }).locator("option:checked").textContent()).toBe("Custom");
  await dialog.getByText(/can call one method \(changes things\) on environments called “my-\*”, from anywhere, till the end of/).waitFor();
  await visitor.look("tokens-generate");
  await dialog.getByRole("button", { name: "Generate", exact: true }).click();

  // Each step of the dialog gives the focus to what is to be filled in or taken first.
  await page.getByLabel(/^Your password/).and(page.locator("input:focus")).waitFor();
  await visitor.look("tokens-password");
  await confirm(visitor, "Generate", "this is not the password");
  // It was sent by a click: the focus is put back into the field, which says what is wrong with it.
  await page.getByRole("alert").filter({ hasText: "The password is wrong." }).waitFor();
  await page.getByLabel(/^Your password/).and(page.locator("input:focus[aria-invalid=true]")).waitFor();
  await confirm(visitor, "Generate", system.password);

  const field = page.getByLabel("The token", { exact: true });
  await field.and(page.locator(":focus")).waitFor();
  const value = await field.inputValue();
  expect(value).toMatch(/^pcl_pat_\w+$/);
  const shown = page.getByRole("dialog", { name: "Access token" });
  await shown.getByRole("button", { name: "Copy", exact: true }).click();
  await shown.getByRole("button", { name: "Copied" }).waitFor();
  expect(await page.evaluate(() => navigator.clipboard.readText())).toBe(value);
  const [download] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name: "Download" }).click()]);
  expect((await readFile((await download.path()))).equals(Buffer.from(value))).toBe(true);
  await page.getByText(`Authorization: Bearer ${value}`).waitFor();
  await page.getByRole("button", { name: "I have saved it" }).click();
  await page.getByRole("row", { name: /stops my-project/ }).waitFor();

  const left = () => page.evaluate(() => {
    const fields = [...document.querySelectorAll("input, textarea")].map((field) => (field as HTMLInputElement).value);
    return [document.documentElement.outerHTML, document.cookie, location.href, JSON.stringify(history.state), ...fields, ...Object.values<string>(localStorage), ...Object.values<string>(sessionStorage)].join("\n");
  });
  expect(await left()).not.toContain(value);
  await page.reload();
  await page.getByRole("row", { name: /stops my-project/ }).waitFor();
  expect(await left()).not.toContain(value);

  const query = new URLSearchParams({ envName: "my-project", session: value });
  const stopped = await fetch(`${system.url}/1.0/environment/control/rest/stopenv?${query}`);
  expect(await stopped.json()).toEqual({ result: 0 });
  await page.getByRole("link", { name: "Environments" }).click();
  await page.getByRole("row", { name: /my-project/ }).getByText("stopped").waitFor();
  await visitor.leave();
});

test("the last day is typed or chosen from a calendar, by keys alone, and is none that is over", async () => {
  const visitor = await atTokens();
  const { page } = visitor;
  await page.getByRole("button", { name: "Generate", exact: true }).click();
  const dialog = page.getByRole("dialog", { name: "Generate access token" });
  const field = dialog.getByLabel("Expires At");
  await field.fill("01-01-2020");
  await field.blur();
  await dialog.getByText("This day is over.").waitFor();
  await expect.poll(() => field.getAttribute("aria-invalid")).toBe("true");
  await field.fill("28-02-2099");
  await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  const calendar = dialog.getByRole("group", { name: "Calendar" });
  await calendar.getByRole("button", { name: /^Saturday,? 28 February 2099$/ }).and(page.locator(":focus")).waitFor();
  await visitor.look("tokens-calendar");
  await page.keyboard.press("ArrowLeft");
  await page.keyboard.press("Enter");
  await calendar.waitFor({ state: "detached" });
  await expect.poll(() => field.inputValue()).toBe("27-02-2099");

  // Before today there is nothing to choose; Escape leaves the calendar, and not the dialog.
  await dialog.getByRole("button", { name: "Never" }).click();
  await expect.poll(() => field.inputValue()).toBe("");
  await dialog.getByRole("button", { name: "Choose from a calendar" }).click();
  const days = calendar.locator("td button");
  await days.filter({ visible: true }).first().waitFor();
  const today = new Date().getDate();
  const left = await days.filter({ visible: true }).evaluateAll((days) => days.filter((day) => !(day as HTMLButtonElement).disabled).map((day) => Number(day.textContent)));
  expect(left[0]).toBe(today);
  await page.keyboard.press("Escape");
  await calendar.waitFor({ state: "detached" });
  await dialog.getByRole("button", { name: "Choose from a calendar" }).and(page.locator(":focus")).waitFor();
  await page.keyboard.press("Escape");
  await dialog.waitFor({ state: "detached" });
  await visitor.leave();
});

test("several are selected with Shift and Ctrl, and removed for good", async () => {
  const visitor = await atTokens();
  const { page } = visitor;
  const values: string[] = [];
  for (const name of ["one", "two", "three", "four"]) values.push(await generate(visitor, `several ${name}`));
  await page.getByLabel("Filter").fill("several");
  await page.getByRole("button", { name: "Description" }).click();
  const rows = page.getByRole("rowheader");
  await expect.poll(() => rows.allTextContents()).toEqual(["several four", "several one", "several three", "several two"]);
  const selected = async () => {
    const boxes = await page.getByRole("checkbox", { checked: true }).evaluateAll((boxes) => boxes.map((box) => box.getAttribute("aria-label")));
    return boxes.map((label) => label?.replace("Select several ", ""));
  };
  await rows.nth(0).click();
  await rows.nth(2).click({ modifiers: ["Shift"] });
  await expect.poll(selected).toEqual(["four", "one", "three"]);
  await rows.nth(1).click({ modifiers: ["Control"] });
  await expect.poll(selected).toEqual(["four", "three"]);
  await expect.poll(() => page.getByRole("button", { name: "Edit" }).isDisabled()).toBe(true);
  await page.getByRole("checkbox", { name: "Select several one" }).focus();
  await page.keyboard.press("Space");
  await expect.poll(selected).toEqual(["four", "one", "three"]);

  await page.getByRole("button", { name: "Remove", exact: true }).click();
  const dialog = page.getByRole("dialog", { name: "Remove access tokens" });
  await dialog.waitFor();
  await expect.poll(() => dialog.getByRole("listitem").allTextContents()).toEqual(["several four", "several one", "several three"]);
  await visitor.look("tokens-remove");
  await confirm(visitor, "Remove", system.password);
  const told = page.getByRole("status").filter({ hasText: "3 tokens were removed: confirmed everywhere after" });
  await told.waitFor();
  await expect.poll(() => rows.allTextContents()).toEqual(["several two"]);
  await visitor.look("tokens-removed");
  for (const [value, result] of [[values[0], 702], [values[1], 0], [values[2], 702], [values[3], 702]] as const) {
    const answer = await fetch(`${system.url}/1.0/users/authentication/rest/checksign?session=${value}`);
    expect(await answer.json()).toMatchObject({ result });
  }
  await visitor.leave();
});

test("tokens are filtered by what has become of them", async () => {
  const session = await system.signIn();
  const make = async (description: string, life?: number) => {
    const expiry = life === undefined ? {} : { expiresAt: new Date(Date.now() + life * 1000).toISOString().slice(0, 19).replace("T", " ") };
    const body = new URLSearchParams({ session, password: system.password, description, tokenTemplate: "IDE Plugins", ...expiry });
    const answer = await fetch(`${system.url}/1.0/users/authentication/rest/createtoken`, { method: "POST", body });
    expect(await answer.json()).toMatchObject({ result: 0 });
  };
  await make("state lasting");
  await make("state ending", 86_400);
  await make("state ended", 2);
  const visitor = await atTokens();
  const { page } = visitor;
  const rows = page.getByRole("rowheader");
  const state = page.getByLabel("State", { exact: true });
  await page.getByLabel("Filter").fill("state");
  await expect.poll(() => rows.allTextContents()).toEqual(["state ended", "state ending", "state lasting"]);
  const refresh = page.getByRole("button", { name: "Refresh" });
  const ended = page.getByRole("row", { name: /state ended/ }).getByText("expired");
  await expect.poll(async () => { await refresh.click(); return ended.count(); }, { timeout: 20_000 }).toBe(1);
  for (const [chosen, name] of [["active", "state lasting"], ["expires soon", "state ending"], ["expired", "state ended"]] as const) {
    await state.selectOption(chosen);
    await expect.poll(() => rows.allTextContents()).toEqual([name]);
  }
  await state.selectOption("leaked");
  await page.getByText("No token fits the filter.").waitFor();
  await state.selectOption("all");
  await expect.poll(() => rows.count()).toBe(3);
  await visitor.look("tokens-states");
  await visitor.leave();
});

/** Calls a method about tokens, as a script of the owner's does. */
async function asked(session: string, method: string, fields: Record<string, string> = {}) {
  const body = new URLSearchParams({ session, ...fields });
  const answer = await fetch(`${system.url}/1.0/users/authentication/rest/${method}`, { method: "POST", body });
  const told = (await answer.json()) as { result: number; token: ApiToken; apiTokens: ApiToken[] };
  expect(told).toMatchObject({ result: 0 });
  return told;
}

test.each([["UTC", "2099-03-01 00:00:00"], ["Pacific/Auckland", "2099-02-28 11:00:00"], ["America/Los_Angeles", "2099-03-01 08:00:00"]])(
  "an edit changes what was changed, and the rest stays to the second, in %s",
  async (timezoneId, end) => {
    const session = await system.signIn();
    const make = async (description: string, expiresAt: string) =>
      (await asked(session, "createtoken", { password: system.password, description, tokenTemplate: "IDE Plugins", expiresAt })).token.id;
    const now = async (id: number) => (await asked(session, "gettokens")).apiTokens.find((token) => token.id === id)!;
    const soon = new Date(Date.now() + 2000).toISOString().slice(0, 19).replace("T", " ");
    const later = await make(`later ${timezoneId}`, "2099-03-14 10:20:30");
    const over = await make(`over ${timezoneId}`, soon);
    const before = await now(later);
    const visitor = await atTokens({ timezoneId });
    const { page } = visitor;
    const dialog = page.getByRole("dialog", { name: "Edit access token" });
    const edit = async (name: string) => {
      await page.getByRole("row", { name }).click();
      await page.getByRole("button", { name: "Edit" }).click();
    };
    const save = async (name: string) => {
      await dialog.getByRole("button", { name: "Save" }).click();
      await confirm(visitor, "Save", system.password);
      await page.getByRole("status").filter({ hasText: `“${name}” was changed` }).waitFor();
    };

    // After the list was read, the token is confined by somebody else.
    await page.getByRole("row", { name: `later ${timezoneId}` }).waitFor();
    await asked(session, "edittoken", { id: String(later), password: system.password, environments: "staging-*" });
    await edit(`later ${timezoneId}`);
    await dialog.getByLabel(/^Description/).and(page.locator(":focus")).waitFor();
    expect(await dialog.getByLabel("Environments").inputValue()).toBe("staging-*");
    await dialog.getByText("2099, ").getByText("as it was").waitFor();
    await dialog.getByRole("button", { name: "Save" }).click();
    await page.getByRole("status").filter({ hasText: "nothing was changed" }).waitFor();
    await edit(`later ${timezoneId}`);
    await dialog.getByLabel(/^Description/).fill(`named anew ${timezoneId}`);
    await save(`named anew ${timezoneId}`);
    expect(await now(later)).toEqual({ ...before, description: `named anew ${timezoneId}`, environments: ["staging-*"] });

    await expect.poll(async () => (await now(over)).isExpired, { timeout: 20_000 }).toBe(true);
    await edit(`over ${timezoneId}`);
    await dialog.getByLabel(/^Description/).fill(`dead ${timezoneId}`);
    await dialog.getByText("it has expired").waitFor();
    await save(`dead ${timezoneId}`);
    expect(await now(over)).toMatchObject({ description: `dead ${timezoneId}`, expiresAt: soon, isExpired: true });
    await edit(`dead ${timezoneId}`);
    await dialog.getByLabel("Expires At").fill("28-02-2099");
    await dialog.getByRole("status").filter({ hasText: "It is good again with this" }).waitFor();
    await visitor.look("tokens-edit-expired");
    await dialog.getByRole("button", { name: "Save" }).click();
    await page.getByText("With its new expiry it is good again").waitFor();
    await confirm(visitor, "Save", system.password);
    await page.getByRole("row", { name: `dead ${timezoneId}` }).getByText("28 Feb 2099").waitFor();
    expect(await now(over)).toMatchObject({ expiresAt: end, isExpired: false });
    await visitor.leave();
  },
);

test("what was written stays until it is ended, and nothing is ended while it is being done", async () => {
  const visitor = await atTokens();
  const { page } = visitor;
  await page.evaluate(() => { navigator.clipboard.writeText = () => Promise.reject(new DOMException("not allowed", "NotAllowedError")); });
  await page.getByRole("button", { name: "Generate", exact: true }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel(/^Description/).fill("made slowly");
  await page.mouse.click(5, 5);
  await dialog.getByLabel("API", { exact: true }).selectOption("IDE Plugins");
  expect(await dialog.getByLabel(/^Description/).inputValue()).toBe("made slowly");
  await dialog.getByRole("button", { name: "Generate", exact: true }).click();
  let go: () => void = () => undefined;
  const held = new Promise<void>((resolve) => { go = resolve; });
  await page.route(/createtoken$/, async (route) => { await held; await route.continue(); });
  await confirm(visitor, "Generate", system.password);
  await dialog.getByRole("button", { name: "Close" }).waitFor({ state: "detached" });
  await page.keyboard.press("Escape");
  await page.mouse.click(5, 5);
  go();
  const value = await page.getByLabel("The token", { exact: true }).inputValue();
  expect(value).toMatch(/^pcl_pat_/);
  await dialog.getByRole("button", { name: "Copy", exact: true }).click();
  await dialog.getByRole("alert").filter({ hasText: "It was not copied" }).waitFor();
  await visitor.look("tokens-not-copied");
  await dialog.getByRole("button", { name: "I have saved it" }).click();
  await dialog.waitFor({ state: "detached" });
  await visitor.leave();
});

test("a token is changed, copied, and given another value", async () => {
  const visitor = await atTokens();
  const { page } = visitor;
  const before = await generate(visitor, "changing");
  const row = () => page.getByRole("row", { name: /changed/ });
  await page.getByRole("row", { name: "changing" }).click();
  await page.getByRole("button", { name: "Edit" }).click();
  const dialog = page.getByRole("dialog", { name: "Edit access token" });
  await dialog.getByLabel(/^Description/).fill("changed");
  await dialog.getByLabel("API", { exact: true }).selectOption("IDE Plugins");
  await dialog.getByLabel("Expires At").fill("31-02-2027");
  await dialog.getByRole("button", { name: "Save" }).click();
  await dialog.getByText("Write a day as dd-mm-yyyy.").waitFor();
  await visitor.look("tokens-edit");
  await dialog.getByLabel("Expires At").fill("28-02-2099");
  await dialog.getByRole("button", { name: "Save" }).click();
  await confirm(visitor, "Save", system.password);
  await page.getByRole("status").filter({ hasText: "“changed” was changed: confirmed everywhere after" }).waitFor();
  await expect.poll(() => row().textContent()).toMatch(/changedIDE Plugins28 Feb 2099/);

  await page.getByRole("button", { name: "Copy", exact: true }).click();
  const copy = page.getByRole("dialog", { name: "Copy access token" });
  expect(await copy.getByLabel(/^Description/).inputValue()).toBe("changed (copy)");
  expect(await copy.getByLabel("API", { exact: true }).inputValue()).toBe("IDE Plugins");
  await page.keyboard.press("Escape");

  await page.getByRole("button", { name: "Edit" }).click();
  await dialog.getByRole("button", { name: "Generate a new one" }).click();
  await visitor.look("tokens-regenerate");
  await confirm(visitor, "Regenerate", system.password);
  const after = await page.getByLabel("The token", { exact: true }).inputValue();
  await visitor.look("tokens-value");
  // What is shown this once is ended by saying so.
  const shown = page.getByRole("dialog", { name: "Access token" });
  await page.keyboard.press("Escape");
  await page.mouse.click(5, 5);
  expect(await shown.getByRole("button", { name: "Close" }).count()).toBe(0);
  expect(await page.getByLabel("The token", { exact: true }).inputValue()).toBe(after);
  await shown.getByRole("button", { name: "I have saved it" }).click();
  await shown.waitFor({ state: "detached" });
  for (const [value, result] of [[before, 702], [after, 0]] as const) {
    const answer = await fetch(`${system.url}/1.0/users/authentication/rest/checksign?session=${value}`);
    expect(await answer.json()).toMatchObject({ result });
  }
  await visitor.leave();
});
