import { afterEach, expect, test, vi } from "vitest";
import { ApiError, call, form, Unreachable } from "./client";

afterEach(() => vi.unstubAllGlobals());

test("parameters are written as the API reads them", () => {
  const fields = form({ id: 7, all: true, ids: [1, 2], vars: { A: "x&y" }, nodes: [{ nodeType: "web" }], none: undefined, empty: "" });
  expect(fields.toString()).toBe("id=7&all=true&ids=1&ids=2&vars=%7B%22A%22%3A%22x%26y%22%7D&nodes=%5B%7B%22nodeType%22%3A%22web%22%7D%5D&empty=");
});

test("an error of the API's is one, and anything else an outage", async () => {
  const asked: Request[] = [];
  const answering = (answer: () => Response | Promise<Response>) =>
    vi.stubGlobal("fetch", (request: Request) => { asked.push(request); return Promise.resolve().then(answer); });
  const stop = () => call("/1.0/environment/control/rest/stopenv", { envName: "shop" });
  const json = (value: unknown) => new Response(JSON.stringify(value), { headers: { "content-type": "application/json" } });

  answering(() => json({ result: 0 }));
  await expect(stop()).resolves.toEqual({ result: 0 });
  answering(() => json({ result: 702, error: "not authenticated", reason: "NOT_AUTHENTICATED", source: "JEL" }));
  const refused = await stop().catch((error: unknown) => error);
  expect(refused).toBeInstanceOf(ApiError);
  expect([(refused as ApiError).message, (refused as ApiError).isSignedOut]).toEqual(["not authenticated", true]);
  answering(() => { throw new TypeError("failed to fetch"); });
  await expect(stop()).rejects.toBeInstanceOf(Unreachable);
  answering(() => new Response("<html>bad gateway</html>", { status: 502 }));
  await expect(stop()).rejects.toBeInstanceOf(Unreachable);
  expect(asked.every((request) => request.method === "POST" && !request.url.includes("?"))).toBe(true);
});
