// How fast the page is, in a real browser before `portcullis up`: prints one JSON object. The program's path is the argument.

import { spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium } from "playwright-core";

const [program] = process.argv.slice(2);
/** How many times each load is measured: the median counts. */
const LOADS = 9;
const TOKENS = 100;
const METHODS = 300;

const folder = await mkdtemp(join(tmpdir(), "portcullis-bench-"));
const listen = `127.0.0.1:${await freePort()}`;
const url = `http://${listen}`;
const system = spawn(program, ["up", "--data-dir", join(folder, "data"), "--listen", listen, "--stop-environments"], { stdio: ["ignore", "pipe", "ignore"] });
const flags = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: flags });
try {
  const [login, password] = await credentials();
  const page = await browser.newPage({ baseURL: url });
  const loads = await firstLoads();
  const bare = await bareLoads();
  await signIn(page, login, password);
  await makeTokens(login, password);
  const longest = await clicks(page);
  console.log(JSON.stringify({ first_load_kib: loads.kib, interactive_ms: loads.ms, bare_page_ms: bare, longest_task_ms: longest }));
} finally {
  await browser.close();
  const ended = new Promise((resolve) => system.once("exit", resolve));
  system.kill("SIGTERM");
  await ended;
  await rm(folder, { recursive: true, force: true });
}

/** The bytes of the first load as they travel, and the time until the first field can be written in. */
async function firstLoads() {
  const times = [];
  let bytes = 0;
  for (let load = 0; load < LOADS; load++) {
    // Nothing of before is remembered.
    const context = await browser.newContext({ baseURL: url });
    const page = await context.newPage();
    const network = await context.newCDPSession(page);
    await network.send("Network.enable");
    let received = 0;
    network.on("Network.loadingFinished", ({ encodedDataLength }) => { received += encodedDataLength; });
    await page.goto("/");
    const login = page.getByLabel("Login");
    await login.waitFor();
    times.push(await page.evaluate(() => performance.now()));
    await login.fill("x");
    await page.waitForLoadState("networkidle");
    bytes = Math.max(bytes, received);
    await context.close();
  }
  return { kib: bytes / 1024, ms: median(times) };
}

/** What a page takes that has nothing in it: the gateway's answer about its own health. */
async function bareLoads() {
  const times = [];
  for (let load = 0; load < LOADS; load++) {
    const context = await browser.newContext({ baseURL: url });
    const page = await context.newPage();
    await page.goto("/healthz");
    times.push(await page.evaluate(() => performance.now()));
    await context.close();
  }
  return median(times);
}

async function signIn(page, login, password) {
  await page.goto("/");
  await page.getByLabel("Login").fill(login);
  await page.locator("input[autocomplete=current-password]").fill(password);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("heading", { name: "Environments" }).waitFor();
}

async function makeTokens(login, password) {
  const call = async (method, parameters) => {
    const answer = await (await fetch(`${url}/1.0/users/authentication/rest/${method}`, { method: "POST", body: new URLSearchParams(parameters) })).json();
    if (answer.result !== 0) throw new Error(JSON.stringify(answer));
    return answer;
  };
  const { session } = await call("signin", { login, password });
  for (let made = 1; made < TOKENS; made++) {
    await call("createtoken", { session, password, description: `token ${made}`, tokenTemplate: "IDE Plugins" });
  }
}

/** The longest task of the page's while it is clicked and written in, with many tokens and many methods. */
async function clicks(page) {
  const methods = Array.from({ length: METHODS }, (_, index) => ({
    id: index + 1,
    method: `service.part${Math.floor(index / 20)}.Method${index}`,
    isSafe: index % 3 === 0,
    isCollaborationAccessible: false,
  }));
  await page.route("**/gettokenapilist", (route) => route.fulfill({ json: { result: 0, tokenPermissions: methods } }));
  await page.addInitScript(() => {
    window.longest = 0;
    new PerformanceObserver((list) => {
      for (const { duration } of list.getEntries()) window.longest = Math.max(window.longest, duration);
    }).observe({ type: "longtask" });
  });
  await page.goto("/settings/tokens");
  await page.getByRole("row", { name: "token 99" }).waitFor();
  await page.evaluate(() => { window.longest = 0; });
  const settled = () => page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve, 0))));
  await page.getByRole("button", { name: "Description" }).click();
  await settled();
  await page.getByRole("rowheader").nth(0).click();
  await page.getByRole("rowheader").nth(80).click({ modifiers: ["Shift"] });
  await settled();
  await page.getByRole("button", { name: "Generate", exact: true }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByRole("checkbox", { name: "Method0", exact: true }).waitFor();
  await dialog.getByRole("checkbox", { name: "service.part3", exact: true }).click();
  await dialog.getByRole("checkbox", { name: "Method7", exact: true }).click();
  await dialog.getByLabel("Search").pressSequentially("method2");
  await dialog.getByLabel("Search").fill("");
  await dialog.getByLabel("Only Checked").click();
  await settled();
  return page.evaluate(() => window.longest);
}

function credentials() {
  return new Promise((resolve, reject) => {
    let log = "";
    system.stdout.on("data", (text) => {
      log += text;
      const found = /account\s+(\S+)\npassword\s+(\S+)[\s\S]*try\s/.exec(log);
      if (found) resolve([found[1], found[2]]);
    });
    system.once("exit", () => reject(new Error(`it ended: ${log}`)));
  });
}

function median(numbers) {
  return numbers.toSorted((one, other) => one - other)[Math.floor(numbers.length / 2)];
}

async function freePort() {
  const server = createServer();
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}
