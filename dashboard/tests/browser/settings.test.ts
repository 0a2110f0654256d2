import { Secret, TOTP } from "otpauth";
import { afterAll, beforeAll, expect, test } from "vitest";
import { System } from "./system";

let system: System;
beforeAll(async () => { system = await System.start(); });
afterAll(async () => { await system.stop(); });

const CHANGED = "another correct horse";

test("others' sessions are ended one by one or all at once", async () => {
  const others = await Promise.all([1, 2, 3].map(() => system.signIn()));
  const visitor = await system.visitor();
  const { page } = visitor;
  await visitor.signIn();
  await page.goto("/settings/sessions");
  const rows = page.getByRole("rowheader");
  await rows.first().waitFor();
  await visitor.look("settings-sessions");
  const before = await rows.count();
  await page.getByRole("button", { name: /^Sign out session/ }).first().click();
  await page.getByRole("status").filter({ hasText: "confirmed everywhere" }).waitFor();
  await expect.poll(() => rows.count()).toBe(before - 1);
  await page.getByRole("button", { name: "Sign out all others" }).click();
  await expect.poll(() => rows.count()).toBe(1);
  for (const session of others) {
    const answer = await fetch(`${system.url}/1.0/users/authentication/rest/checksign?session=${session}`);
    expect(await answer.json()).toMatchObject({ result: 702 });
  }
  await visitor.leave();
});

test("a session that others have ended leads to the sign-in, whatever is done next", async () => {
  for (const [place, next] of [["/settings/tokens", "Refresh"], ["/settings/sessions", "Sign out all others"]] as const) {
    const visitor = await system.visitor();
    const { page } = visitor;
    await visitor.signIn();
    // One that can be ended, whoever was signed in before.
    const session = await system.signIn();
    await page.goto(place);
    await page.getByRole("table").waitFor();
    const ended = await fetch(`${system.url}/1.0/users/authentication/rest/signoutsessions`, { method: "POST", body: new URLSearchParams({ session, ids: "*" }) });
    expect(await ended.json()).toMatchObject({ result: 0 });
    await page.getByRole("button", { name: next }).click();
    await page.getByRole("status").filter({ hasText: "Your session has ended" }).waitFor();
    await expect.poll(() => page.getByRole("table").count()).toBe(0);
    await visitor.look("sign-in-ended");
    await page.getByLabel("Login").fill(system.login);
    await visitor.password.fill(system.password);
    await page.getByRole("button", { name: "Sign in" }).click();
    await page.getByRole("table").waitFor();
    expect(new URL(page.url()).pathname).toBe(place);
    await visitor.leave();
  }
});

test("a page never shows or changes one account's things under another's name", async () => {
  const session = await system.signIn();
  const bob = { login: "bob", password: "bob has another horse" };
  const made = await fetch(`${system.url}/1.0/users/account/rest/createaccount`, {
    method: "POST",
    body: new URLSearchParams({ session, password: system.password, login: bob.login, accountPassword: bob.password }),
  });
  expect(await made.json()).toMatchObject({ result: 0 });
  const visitor = await system.visitor();
  const { page, context } = visitor;
  await visitor.signIn();
  await page.getByRole("row", { name: /my-project/ }).waitFor();
  const other = await context.newPage();
  await other.goto("/environments");
  await other.getByRole("button", { name: `Account of ${system.login}` }).click();
  await other.getByRole("menuitem", { name: "Sign out" }).click();
  // Who signs out of one page is signed out of all.
  await page.getByRole("status").filter({ hasText: "Your session has ended" }).waitFor();
  await other.getByLabel("Login").fill(bob.login);
  await other.getByLabel(/^Password/).and(other.locator("input")).fill(bob.password);
  await other.getByRole("button", { name: "Sign in" }).click();
  for (const of of [other, page]) await of.getByRole("button", { name: "Account of bob" }).waitFor();

  // Somebody signs in without a page of ours knowing, and the page is come back to.
  await other.evaluate(async ({ login, password }) => {
    const headers = { "portcullis-session": "cookie" };
    await fetch("/1.0/users/authentication/rest/signin", { method: "POST", headers, body: new URLSearchParams({ login, password }) });
  }, { login: system.login, password: system.password });
  await page.evaluate(() => window.dispatchEvent(new Event("focus")));
  await page.getByRole("button", { name: `Account of ${system.login}` }).waitFor();
  await visitor.leave();
});

test("what is done without a network fails at once, and is not done later", async () => {
  const visitor = await system.visitor();
  const { page, context } = visitor;
  await visitor.signIn();
  await page.goto("/settings/sessions");
  await page.getByRole("table").waitFor();
  await system.signIn();
  await page.reload();
  await page.getByRole("button", { name: "Sign out all others" }).and(page.locator(":enabled")).waitFor();
  const asked: string[] = [];
  page.on("requestfinished", (request) => asked.push(request.url()));
  await context.setOffline(true);
  await page.getByRole("button", { name: "Sign out all others" }).click();
  await page.getByRole("alert").filter({ hasText: "The service does not answer." }).waitFor();
  await context.setOffline(false);
  await page.getByRole("link", { name: "Audit log" }).click();
  await page.getByRole("row", { name: /session/ }).first().waitFor();
  expect(asked.filter((url) => url.endsWith("signoutsessions"))).toEqual([]);
  await visitor.leave(/ERR_INTERNET_DISCONNECTED/);
});

test("the password is changed, and what is wrong is told beside it", async () => {
  const visitor = await system.visitor();
  const { page } = visitor;
  await visitor.signIn();
  await page.goto("/settings/password");
  const field = (label: RegExp) => page.getByLabel(label).and(page.locator("input"));
  const change = async (before: string, after: string) => {
    await field(/^Present password/).fill(before);
    await field(/^New password(?!, again)/).fill(after);
    await field(/^New password, again/).fill(after);
    await page.getByRole("button", { name: "Change" }).click();
  };
  await change(system.password, "short");
  await page.getByText(/newPassword.* 12 /).waitFor();
  await visitor.look("settings-password");
  await change("no such password", CHANGED);
  await page.getByRole("alert").filter({ hasText: "The password is wrong." }).waitFor();
  await field(/^Present password/).and(page.locator(":focus[aria-invalid=true]")).waitFor();
  await change(system.password, CHANGED);
  await page.getByRole("status").filter({ hasText: "The password was changed" }).waitFor();
  system.password = CHANGED;
  await page.goto("/settings/audit-log");
  await page.getByRole("row", { name: /password/ }).first().waitFor();
  await visitor.look("settings-audit-log");
  await visitor.leave();
});

test("a second factor is set up, asked for, and turned off", async () => {
  const visitor = await system.visitor();
  const { page } = visitor;
  await visitor.signIn();
  await page.goto("/settings/two-factor");
  await page.getByText("It is off.").waitFor();
  await visitor.look("settings-two-factor-off");
  const password = page.getByLabel(/^Your password/).and(page.locator("input"));
  await password.fill(system.password);
  await page.getByRole("button", { name: "Set up" }).click();
  await page.getByText(/^Secret: /).waitFor();
  await visitor.look("settings-two-factor-secret");
  const secret = (await page.getByText(/^Secret: /).textContent())!.replace("Secret: ", "");
  const totp = new TOTP({ secret: Secret.fromBase32(secret) });
  await page.getByLabel(/^Code/).fill(totp.generate());
  await page.getByRole("button", { name: "Turn on" }).click();
  const codes = page.getByRole("list", { name: "Recovery codes" }).getByRole("listitem");
  await codes.first().waitFor();
  const recovery = await codes.allTextContents();
  expect(recovery.length).toBe(10);
  await visitor.look("settings-two-factor-codes");
  await page.getByRole("button", { name: "I have saved them" }).click();
  await page.getByText("It is on. 10 recovery codes are left.").waitFor();

  await page.getByRole("button", { name: /^Account of/ }).click();
  await page.getByRole("menuitem", { name: "Sign out" }).click();
  await page.getByLabel("Login").fill(system.login);
  await visitor.password.fill(system.password);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("heading", { name: "Second factor" }).waitFor();
  await visitor.look("sign-in-second-factor");
  await page.getByLabel(/^Code/).fill("000000");
  await page.getByRole("button", { name: "Verify" }).click();
  await page.getByRole("alert").waitFor();
  const [answer] = await Promise.all([
    page.waitForResponse(/verify2facode/),
    page.getByLabel(/^Code/).fill(recovery[0]!).then(() => page.getByRole("button", { name: "Verify" }).click()),
  ]);
  expect(await answer.text()).not.toContain("pcl_ses_");
  await page.getByText("It is on. 9 recovery codes are left.").waitFor();

  await password.fill(system.password);
  await page.getByLabel(/^Code/).fill(recovery[1]!);
  await page.getByRole("button", { name: "Turn off" }).click();
  await page.getByText("It is off.").waitFor();
  await visitor.leave();
});
