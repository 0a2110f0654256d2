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

/** The longest task of the page's while it is clicked and written in, with many tokens and many methods: 0 where none took 50 ms, from which on browsers tell. */
async function clicks(page) {
  const methods = Array.from({ length: METHODS }, (_, index) => ({
    id: index + 1,
    method: `service.part${Math.floor(index / 20)}.Method${index}`,
    isSafe: index % 3 === 0,
    isCollaborationAccessible: false,
  }));
  await page.route("**/gettokenapilist", (route) => route.fulfill({ json: { result: 0, tokenPermissions: methods } }));
  await page.addInitScript(() => {
    window.tasks = [];
    window.spans = [];
    new PerformanceObserver((list) => window.tasks.push(...list.getEntries())).observe({ type: "longtask" });
  });
  await page.goto("/settings/tokens");
  await page.getByRole("row", { name: "token 99" }).waitFor();
  const dialog = page.getByRole("dialog");
  const boxes = dialog.locator("[data-method] input");
  await measured(page, page.getByRole("button", { name: "Description" }), click);
  await measured(page, page.getByRole("rowheader").nth(0), click);
  await measured(page, page.getByRole("rowheader").nth(80), async (page, point) => {
    await page.keyboard.down("Shift");
    await click(page, point);
    await page.keyboard.up("Shift");
  });
  await measured(page, page.getByRole("button", { name: "Generate", exact: true }), async (page, point) => {
    await click(page, point);
    await page.waitForFunction((count) => document.querySelectorAll("[data-method]").length === count, METHODS);
  });
  await measured(page, dialog.getByRole("checkbox", { name: "service.part3", exact: true }), click);
  await measured(page, boxes.nth(METHODS - 1), click);
  await measured(page, boxes.nth(7), click);
  await measured(page, dialog.getByLabel("Search"), async (page, point) => {
    await click(page, point);
    await page.keyboard.type("method2");
    for (let letter = 0; letter < "method2".length; letter++) await page.keyboard.press("Backspace");
  });
  await measured(page, dialog.getByLabel("Only Checked"), click);
  await measured(page, dialog.getByLabel("Only Checked"), click);
  const [rows, checked] = [await page.locator("[data-token][data-chosen]").count(), await dialog.locator("[data-method] input:checked").count()];
  if (rows !== 81 || checked !== 22) throw new Error(`${rows} rows and ${checked} methods are chosen, not 81 and 22`);
  return page.evaluate(() => {
    const within = ({ startTime }) => window.spans.some(([from, to]) => from <= startTime && startTime <= to);
    return Math.max(0, ...window.tasks.filter(within).map(({ duration }) => duration));
  });
}

function click(page, { x, y }) {
  return page.mouse.click(x, y);
}

/** Does something at an element's place. To look for the element, as those do who hear the page, is a long task of its own and not the page's. */
async function measured(page, element, action) {
  const settled = () => page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => setTimeout(() => resolve(performance.now()), 0))));
  // Where it can be clicked, and has come to rest.
  await element.click({ trial: true });
  const { x, y, width, height } = await element.boundingBox();
  const from = await settled();
  await action(page, { x: x + width / 2, y: y + height / 2 });
  const to = await settled();
  await page.evaluate((span) => window.spans.push(span), [from, to]);
  // What was long is told a little later.
  await settled();
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
