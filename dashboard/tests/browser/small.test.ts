import { Secret, TOTP } from "otpauth";
import { afterAll, beforeAll, expect, test } from "vitest";
import { System, type Visitor } from "./system";

let system: System;
beforeAll(async () => { system = await System.start(); });
afterAll(async () => { await system.stop(); });

/** The smallest window that all has to fit in, in the dark, for somebody whom motion disturbs. */
const SMALL = { viewport: { width: 360, height: 640 }, colorScheme: "dark", reducedMotion: "reduce" } as const;

const look = (visitor: Visitor, name: string) => visitor.look(`small-dark-${name}`);
const yourPassword = ({ page }: Visitor) => page.getByLabel(/^Your password/).and(page.locator("input"));

async function signedIn(): Promise<Visitor> {
  const visitor = await system.visitor(SMALL);
  await visitor.signIn();
  return visitor;
}

test("on a small screen and in the dark: signing in", async () => {
  const visitor = await system.visitor(SMALL);
  const { page } = visitor;
  await page.goto("/");
  await visitor.password.waitFor();
  await look(visitor, "sign-in");
  await page.getByLabel("Login").fill(system.login);
  await visitor.password.fill("no such password");
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("alert").waitFor();
  await look(visitor, "sign-in-refused");
  await visitor.leave();
});

test("on a small screen and in the dark: environments", async () => {
  const visitor = await signedIn();
  const { page } = visitor;
  const row = page.getByRole("row", { name: /my-project/ });
  await row.getByText("running", { exact: true }).waitFor();
  // What has no room for a column of its own is told below.
  await row.getByText("Nodes: ").waitFor();
  await look(visitor, "environments");
  await row.getByRole("button", { name: "Actions for my-project" }).click();
  await page.getByRole("menuitem", { name: "Restart" }).waitFor();
  await look(visitor, "environments-actions");
  await page.getByRole("menuitem", { name: "Restart" }).click();
  await page.getByRole("dialog", { name: "Restart?" }).waitFor();
  await look(visitor, "environments-restart");
  await page.keyboard.press("Escape");
  await page.getByRole("dialog").waitFor({ state: "detached" });
  await page.getByRole("button", { name: /^Account of/ }).click();
  await page.getByRole("menuitem", { name: "Sign out" }).waitFor();
  await look(visitor, "account");
  await page.keyboard.press("Escape");

  await page.getByRole("link", { name: "My project" }).click();
  await page.getByLabel("The end of the log").getByText(/serving/).waitFor();
  for (const name of ["Group", "Version", "Address"]) await page.getByRole("row", { name: /web/ }).getByText(`${name}: `).waitFor();
  await look(visitor, "environment");
  const variables = page.getByRole("region", { name: "Variables" });
  await variables.getByRole("button", { name: "Add a variable" }).click();
  const dialog = page.getByRole("dialog");
  const name = dialog.getByRole("textbox", { name: /^Name/ });
  await name.fill("LD_PRELOAD");
  await dialog.getByRole("button", { name: "Add", exact: true }).click();
  await dialog.getByText("the variables that the operator allows").waitFor();
  await look(visitor, "environment-variable-refused");
  await name.fill("APP_ADDRESS_OF_THE_SERVICE_THAT_IS_ASKED_FIRST");
  await dialog.getByLabel("Value").fill(`https://${"a-long-name.".repeat(8)}example/`);
  await dialog.getByRole("button", { name: "Add", exact: true }).click();
  await variables.getByRole("status").getByText("was added").waitFor();
  await variables.getByRole("button", { name: "Show the values" }).click();
  await variables.getByText("a-long-name").waitFor();
  await variables.getByRole("button", { name: "Hide the values" }).scrollIntoViewIfNeeded();
  await look(visitor, "environment-variables");
  await variables.getByRole("button", { name: /^Change/ }).click();
  await dialog.getByLabel("Value").waitFor();
  await look(visitor, "environment-variable-change");
  await page.keyboard.press("Escape");
  await dialog.waitFor({ state: "detached" });
  await variables.getByRole("button", { name: /^Remove/ }).click();
  await dialog.waitFor();
  await look(visitor, "environment-variable-remove");
  await visitor.leave();
});

test("on a small screen and in the dark: access tokens", async () => {
  const visitor = await signedIn();
  const { page } = visitor;
  const dialog = page.getByRole("dialog");
  await page.goto("/settings/tokens");
  for (const name of ["API", "Expires", "Last use", "Last 30 days"]) await page.getByRole("row", { name: /first steps/ }).getByText(`${name}: `).waitFor();
  await look(visitor, "tokens");

  await page.getByRole("button", { name: "Generate", exact: true }).click();
  await dialog.getByLabel(/^Description/).fill("deploys what was built of the main branch");
  await dialog.getByRole("button", { name: "Choose from a calendar" }).click();
  await dialog.getByRole("group", { name: "Calendar" }).waitFor();
  await look(visitor, "tokens-calendar");
  await page.keyboard.press("Escape");
  await dialog.getByLabel("Expires At").fill("31-02-2027");
  await dialog.getByRole("button", { name: "Generate", exact: true }).click();
  await dialog.getByText("Write a day as dd-mm-yyyy.").waitFor();
  await look(visitor, "tokens-generate");
  await dialog.getByLabel("Expires At").fill("");
  await dialog.getByRole("checkbox", { name: "StopEnv", exact: true }).check();
  await dialog.getByText("Stops an environment: every process").waitFor();
  await look(visitor, "tokens-generate-methods");
  await dialog.getByRole("button", { name: "Generate", exact: true }).click();
  await yourPassword(visitor).fill("this is not the password");
  await dialog.getByRole("button", { name: "Generate", exact: true }).click();
  await page.getByRole("alert").waitFor();
  await look(visitor, "tokens-password");
  await yourPassword(visitor).fill(system.password);
  await dialog.getByRole("button", { name: "Generate", exact: true }).click();
  await page.getByLabel("The token", { exact: true }).waitFor();
  await look(visitor, "tokens-value");
  await page.getByRole("button", { name: "I have saved it" }).click();

  await page.getByRole("row", { name: /deploys/ }).click();
  await page.getByRole("button", { name: "Copy", exact: true }).click();
  await dialog.getByLabel(/^Description/).waitFor();
  await look(visitor, "tokens-copy");
  await page.keyboard.press("Escape");
  await dialog.waitFor({ state: "detached" });
  await page.getByRole("button", { name: "Edit", exact: true }).click();
  await dialog.getByRole("button", { name: "Generate a new one" }).scrollIntoViewIfNeeded();
  await look(visitor, "tokens-edit");
  await dialog.getByRole("button", { name: "Generate a new one" }).click();
  await dialog.getByLabel("The old value").waitFor();
  await look(visitor, "tokens-regenerate");
  await page.keyboard.press("Escape");
  await dialog.waitFor({ state: "detached" });
  await page.getByRole("button", { name: "Remove", exact: true }).click();
  await yourPassword(visitor).fill(system.password);
  await look(visitor, "tokens-remove");
  await dialog.getByRole("button", { name: "Remove", exact: true }).click();
  await page.getByRole("status").filter({ hasText: "was removed: confirmed everywhere after" }).waitFor();
  await look(visitor, "tokens-removed");
  await visitor.leave();
});

test("on a small screen and in the dark: the other settings, and the second factor", async () => {
  const visitor = await signedIn();
  const { page } = visitor;
  await page.goto("/settings/sessions");
  await page.getByRole("rowheader").first().getByText("Program: ").waitFor();
  await look(visitor, "settings-sessions");
  await page.goto("/settings/password");
  await page.getByLabel(/^New password, again/).and(page.locator("input")).waitFor();
  await look(visitor, "settings-password");
  await page.goto("/settings/audit-log");
  for (const name of ["By", "From", "Outcome"]) await page.getByRole("row", { name: /session/ }).first().getByText(`${name}: `).waitFor();
  await look(visitor, "settings-audit-log");

  await page.goto("/settings/two-factor");
  await page.getByText("It is off.").waitFor();
  await look(visitor, "settings-two-factor-off");
  await yourPassword(visitor).fill(system.password);
  await page.getByRole("button", { name: "Set up" }).click();
  const secret = page.getByText(/^Secret: /);
  await secret.waitFor();
  await look(visitor, "settings-two-factor-secret");
  const totp = new TOTP({ secret: Secret.fromBase32((await secret.textContent())!.replace("Secret: ", "")) });
  await page.getByLabel(/^Code/).fill(totp.generate());
  await page.getByRole("button", { name: "Turn on" }).click();
  const codes = page.getByRole("list", { name: "Recovery codes" }).getByRole("listitem");
  await codes.first().waitFor();
  await look(visitor, "settings-two-factor-codes");
  const [recovery] = await codes.allTextContents();
  await page.getByRole("button", { name: "I have saved them" }).click();
  await page.getByText(/^It is on/).waitFor();
  await look(visitor, "settings-two-factor-on");
  await visitor.leave();

  const another = await system.visitor(SMALL);
  await another.page.goto("/");
  await another.page.getByLabel("Login").fill(system.login);
  await another.password.fill(system.password);
  await another.page.getByRole("button", { name: "Sign in" }).click();
  await another.page.getByRole("heading", { name: "Second factor" }).waitFor();
  await look(another, "sign-in-second-factor");
  await another.page.getByLabel(/^Code/).fill(recovery!);
  await another.page.getByRole("button", { name: "Verify" }).click();
  await another.page.getByRole("heading", { name: "Environments" }).waitFor();
  await another.leave();
});

test("on a small screen and in the dark: the reference, and what is told when nothing answers", async () => {
  const visitor = await system.visitor(SMALL);
  const { page } = visitor;
  await page.goto("/docs#environment.control.GetEnvs");
  const method = page.getByRole("region", { name: "GetEnvs" });
  await page.getByLabel("A token to try methods with").and(page.locator("input")).fill(system.token);
  await method.getByRole("button", { name: "Try it" }).click();
  await method.getByLabel("The answer").getByText("my-project").first().waitFor();
  await look(visitor, "reference");
  // A page that is opened when nothing answers is one that was opened before.
  const answers = /getuserinfo$/;
  await page.route(answers, (route) => route.abort("connectionrefused"));
  await page.goto("/environments");
  await page.getByRole("alert").filter({ hasText: "The service does not answer" }).waitFor();
  await look(visitor, "outage");
  await page.unroute(answers);
  await visitor.password.waitFor();
  await expect.poll(() => page.getByRole("alert").count()).toBe(0);
  await visitor.leave(/ERR_CONNECTION_REFUSED/);
});
