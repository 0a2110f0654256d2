import { afterAll, beforeAll, expect, test } from "vitest";
import { System } from "./system";

let system: System;
beforeAll(async () => { system = await System.start(); });
afterAll(async () => { await system.stop(); });

test("a wrong password is told, and nothing else", async () => {
  const visitor = await system.visitor();
  const { page } = visitor;
  await page.goto("/settings/anything");
  await page.getByRole("heading", { name: "Portcullis" }).waitFor();
  await visitor.look("sign-in");
  await page.getByLabel("Login").fill(system.login);
  await visitor.password.fill("no such password");
  await visitor.password.press("Enter");
  const alert = page.getByRole("alert");
  await alert.waitFor();
  expect(await alert.textContent()).toContain("Not signed in");
  await expect.poll(() => visitor.password.inputValue()).toBe("");
  await visitor.password.fill("nor this");
  await page.getByRole("button", { name: "Sign in" }).click();
  await visitor.password.and(page.locator(":focus[aria-invalid=true]")).waitFor();
  expect(await visitor.context.cookies()).toEqual([]);
  await visitor.look("sign-in-refused");
  await visitor.leave();
});

test("who guesses on is told how long to wait, and gets in after it", async () => {
  const visitor = await system.visitor();
  const { page } = visitor;
  await page.goto("/");
  const attempt = async (password: string) => {
    await page.getByLabel("Login").fill(system.login);
    await visitor.password.fill(password);
    const [answer] = await Promise.all([page.waitForResponse(/signin$/), page.getByRole("button", { name: "Sign in" }).click()]);
    return (await answer.json()) as { result: number; retryAfter?: string };
  };
  let answer = await attempt("guess");
  for (let guess = 2; answer.result !== 9104 && guess < 30; guess++) answer = await attempt(`guess ${guess}`);
  expect(answer).toMatchObject({ result: 9104, retryAfter: expect.any(String) as string });
  await page.getByRole("alert").getByText(`try again in ${answer.retryAfter} s.`).waitFor();
  await visitor.look("sign-in-throttled");
  await page.getByText("You can try again now.").waitFor();
  expect(await attempt(system.password)).toMatchObject({ result: 0 });
  await page.getByRole("heading", { name: "Environments" }).waitFor();
  await visitor.leave();
});

test("what a script does with a token shows within a second", async () => {
  const visitor = await system.visitor();
  const { page } = visitor;
  await visitor.signIn();
  const row = page.getByRole("row", { name: /my-project/ });
  await row.getByText("running", { exact: true }).waitFor();
  await visitor.look("environments");

  const stop = system.call("environment/control/rest/stopenv", { envName: "my-project" });
  expect(await stop).toEqual({ result: 0 });
  await row.getByText("stopped").waitFor({ timeout: 1000 });

  await row.getByRole("button", { name: "Actions for my-project" }).click();
  await page.getByRole("menuitem", { name: "Start", exact: true }).waitFor();
  await visitor.look("environments-actions");
  await page.getByRole("menuitem", { name: "Start", exact: true }).click();
  const question = page.getByRole("dialog", { name: "Start?" });
  await question.waitFor();
  await visitor.look("environments-start");
  await question.getByRole("button", { name: "Start", exact: true }).click();
  await question.waitFor({ state: "detached" });
  await row.getByText("running", { exact: true }).waitFor();
  await visitor.leave();
});

test("the session is in a cookie that no script sees, and ends with the sign-out", async () => {
  const visitor = await system.visitor();
  const { page, context } = visitor;
  await visitor.signIn();
  const cookies = await context.cookies();
  expect(cookies).toMatchObject([{ name: "__Host-portcullis", httpOnly: true, secure: true, sameSite: "Strict", path: "/" }]);
  const session = cookies[0]?.value ?? "";
  const seen = await page.evaluate(() => [document.cookie, document.documentElement.outerHTML, ...Object.values<string>(localStorage), ...Object.values<string>(sessionStorage), location.href].join("\n"));
  expect(session).toMatch(/^pcl_ses_/);
  expect(seen).not.toContain(session);
  await page.reload();
  await page.getByRole("heading", { name: "Environments" }).waitFor();

  await page.getByRole("button", { name: /^Account of/ }).click();
  await page.getByRole("menuitem", { name: "Sign out" }).click();
  await page.getByRole("button", { name: "Sign in" }).waitFor();
  expect(await context.cookies()).toEqual([]);
  const after = await fetch(`${system.url}/1.0/environment/control/rest/getenvs`, { method: "POST", headers: { authorization: `Bearer ${session}` } });
  expect(await after.json()).toMatchObject({ result: 702 });
  await visitor.leave();
});
