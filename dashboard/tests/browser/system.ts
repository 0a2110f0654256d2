import { type ChildProcess, spawn } from "node:child_process";
import { mkdtemp, mkdir, rm } from "node:fs/promises";
import { createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { AxeBuilder } from "@axe-core/playwright";
import { type Browser, type BrowserContext, type BrowserContextOptions, chromium, type Locator, type Page } from "playwright-core";
import { expect } from "vitest";

const ROOT = join(import.meta.dirname, "../../..");
const PICTURES = join(ROOT, "target/screenshots");
const CHROMIUM = process.env.CHROMIUM ?? "/usr/bin/chromium";
/** Longer than anything that succeeds takes, in milliseconds. */
const LONG = 30_000;

/** The whole system in one process, as `portcullis up` runs it, with a browser before it. */
export class System {
  private constructor(
    private readonly folder: string,
    private program: Program,
    private readonly browser: Browser,
    readonly url: string,
    readonly login: string,
    public password: string,
    /** A token for the example environment, `my-project`. */
    readonly token: string,
  ) {}

  static async start(): Promise<System> {
    const folder = await mkdtemp(join(tmpdir(), "portcullis-browser-"));
    const listen = `127.0.0.1:${await freePort()}`;
    const program = new Program(folder, listen);
    const told = await program.says(/account\s+(\S+)\npassword\s+(\S+)[\s\S]*(pcl_pat_\w+)/);
    const flags = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"];
    const browser = await chromium.launch({ executablePath: CHROMIUM, args: [...flags, "--disable-component-update", "--disable-sync"] });
    const [, login, password, token] = told as unknown as [string, string, string, string];
    return new System(folder, program, browser, `http://${listen}`, login, password, token);
  }

  /** Ends it without warning. */
  async kill(): Promise<void> {
    await this.program.end("SIGKILL");
  }

  /** Starts it again, with all that there was. */
  async restart(): Promise<void> {
    this.program = new Program(this.folder, this.url.replace("http://", ""));
    await this.program.says(/ready/);
  }

  /** A browser of somebody who was never here. Whatever its pages complain of fails the story. */
  async visitor(options: BrowserContextOptions = {}): Promise<Visitor> {
    const context = await this.browser.newContext({ baseURL: this.url, locale: "en-GB", ...options });
    context.setDefaultTimeout(LONG);
    return new Visitor(this, context, await context.newPage());
  }

  /** Signs in as a script does, and answers with the session. */
  async signIn(): Promise<string> {
    const body = new URLSearchParams({ login: this.login, password: this.password });
    const answer = await fetch(`${this.url}/1.0/users/authentication/rest/signin`, { method: "POST", body });
    return ((await answer.json()) as { session: string }).session;
  }

  /** Calls the API as a script does. */
  async call(method: string, parameters: Record<string, string>): Promise<unknown> {
    const query = new URLSearchParams({ ...parameters, session: this.token });
    return (await fetch(`${this.url}/1.0/${method}?${query}`)).json();
  }

  async stop(): Promise<void> {
    await this.browser.close();
    const log = await this.program.end("SIGTERM");
    expect(log).not.toMatch(/pcl_ses_/);
    await rm(this.folder, { recursive: true });
  }
}

/** `portcullis up`. Its environments end with it, unless it is killed. */
class Program {
  private readonly process: ChildProcess;
  private log = "";

  constructor(folder: string, listen: string) {
    const program = process.env.PORTCULLIS ?? join(ROOT, "target/debug/portcullis");
    const line = ["up", "--data-dir", join(folder, "data"), "--listen", listen, "--stop-environments"];
    this.process = spawn(program, line, { stdio: ["ignore", "pipe", "pipe"] });
    this.process.stdout?.on("data", (text: Buffer) => { this.log += text.toString(); });
    this.process.stderr?.on("data", (text: Buffer) => { this.log += text.toString(); });
  }

  async says(what: RegExp): Promise<RegExpMatchArray> {
    return new Promise((resolve, reject) => {
      const look = () => {
        const found = what.exec(this.log);
        if (found) resolve(found);
      };
      this.process.stdout?.on("data", look);
      this.process.once("exit", () => reject(new Error(`it ended: ${this.log}`)));
      setTimeout(() => reject(new Error(`it does not say ${what}: ${this.log}`)), LONG).unref();
    });
  }

  /** Ends it, and answers with what it has written. */
  async end(signal: "SIGTERM" | "SIGKILL"): Promise<string> {
    const ended = new Promise((resolve) => this.process.once("exit", resolve));
    this.process.kill(signal);
    await ended;
    return this.log;
  }
}

export class Visitor {
  private readonly complaints: string[] = [];

  constructor(private readonly system: System, readonly context: BrowserContext, readonly page: Page) {
    page.on("pageerror", (error) => this.complaints.push(error.message));
    page.on("console", (message) => {
      if (message.type() === "error" || message.type() === "warning") this.complaints.push(message.text());
    });
    page.on("request", (request) => {
      if (!request.url().startsWith(`${system.url}/`)) this.complaints.push(`asks somebody else: ${request.url()}`);
    });
  }

  /** The field, whose label says as well that it has to be filled in, not the button in it. */
  get password(): Locator {
    return this.page.getByLabel(/^Password/).and(this.page.locator("input"));
  }

  async signIn(): Promise<void> {
    const { page, system } = this;
    await page.goto("/");
    await page.getByLabel("Login").fill(system.login);
    await this.password.fill(system.password);
    await page.getByRole("button", { name: "Sign in" }).click();
    await page.getByRole("heading", { name: "Environments" }).waitFor();
  }

  /** Nothing of the page is out of anybody's reach, as far as a program can tell. Leaves a picture for people. */
  async look(name: string): Promise<void> {
    await mkdir(PICTURES, { recursive: true });
    await this.page.screenshot({ path: join(PICTURES, `${name}.png`), animations: "disabled" });
    const { violations } = await new AxeBuilder({ page: this.page })
      .withTags(["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"])
      .analyze();
    const told = violations.map(({ id, help, nodes }) => `${id}: ${help}: ${nodes.map(({ html }) => html).join(" | ")}`);
    expect(told, name).toEqual([]);
    const [needs, has] = await this.page.evaluate(() => [document.documentElement.scrollWidth, document.documentElement.clientWidth] as const);
    expect(needs, `${name} is wider than its window`).toBeLessThanOrEqual(has);
  }

  /** Goes. Of what is expected the browser may have complained. */
  async leave(expected?: RegExp): Promise<void> {
    expect(this.complaints.filter((complaint) => !expected?.test(complaint))).toEqual([]);
    await this.context.close();
  }
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
