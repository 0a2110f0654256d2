import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { serve } from "../tests/unit/server";

const STOP = "/1.0/environment/control/rest/stopenv";

/** Another page of the browser. */
let other: BroadcastChannel;
let stop: () => void = () => undefined;
beforeEach(() => { other = new BroadcastChannel("portcullis-session"); });
afterEach(() => {
  stop();
  other.close();
  vi.unstubAllGlobals();
});

/** A page that shows an account, or none; what it knows is its own. */
async function page(uid: number | null) {
  vi.resetModules();
  const [{ keepToAccount }, { newQueries }, { userOf, ...session }, client, { doubt }] = await Promise.all([import("./account"), import("./queries"), import("./session"), import("./api/client"), import("./api/doubt")]);
  const queries = newQueries();
  queries.setQueryData(["user"], uid === null ? null : { result: 0, uid, name: "alice" });
  const beginAnew = vi.fn();
  stop = keepToAccount(queries, beginAnew);
  return { queries, beginAnew, session, client, doubt, shown: () => userOf(queries)?.uid ?? null };
}

const come = () => window.dispatchEvent(new Event("focus"));
const heard = () => new Promise<SessionHeard>((resolve) => { other.addEventListener("message", (event) => resolve((event as MessageEvent<SessionHeard>).data), { once: true }); });
interface SessionHeard { readonly uid: number | null }

test("nothing is called for another account, and its page begins anew", async () => {
  const asked = serve({ getuserinfo: () => ({ uid: 2 }), stopenv: () => ({}) });
  const { beginAnew, client } = await page(1);
  come();
  const ended = vi.fn();
  void client.call(STOP, { envName: "shop" }).finally(ended);
  await vi.waitFor(() => expect(beginAnew).toHaveBeenCalledTimes(1));
  expect(asked).toEqual(["getuserinfo"]);
  expect(ended).not.toHaveBeenCalled();
});

test("an answer that comes when the session has become another's is not shown", async () => {
  let answer: () => void = () => undefined;
  serve({ stopenv: () => new Promise<object>((resolve) => { answer = () => resolve({}); }) });
  const { beginAnew, client, doubt } = await page(1);
  const held = vi.spyOn(doubt, "outlast");
  const ended = vi.fn();
  void client.call(STOP, { envName: "shop" }).finally(ended);
  other.postMessage({ uid: 2 });
  await vi.waitFor(() => expect(beginAnew).toHaveBeenCalledTimes(1));
  answer();
  // The answer has come, and is held back.
  await vi.waitFor(() => expect(held).toHaveBeenCalledTimes(1));
  expect(ended).not.toHaveBeenCalled();
});

test("who comes back to the account of before goes on, once that is known", async () => {
  let isThere = false;
  const asked = serve({ getuserinfo: () => (isThere ? { uid: 1 } : Promise.reject(new Error("gone"))), stopenv: () => ({}) });
  const { beginAnew, client } = await page(1);
  come();
  await expect(client.call(STOP, { envName: "shop" })).rejects.toBeInstanceOf(client.Unreachable);
  expect(asked).not.toContain("stopenv");
  isThere = true;
  await expect(client.call(STOP, { envName: "shop" })).resolves.toMatchObject({ result: 0 });
  expect(beginAnew).not.toHaveBeenCalled();
});

test("what another page does to the session is known at once", async () => {
  serve({});
  const { beginAnew, shown } = await page(1);
  other.postMessage({ uid: 1 });
  other.postMessage({ uid: null });
  await vi.waitFor(() => expect(shown()).toBeNull());
  expect(beginAnew).not.toHaveBeenCalled();
  other.postMessage({ uid: 1 });
  await vi.waitFor(() => expect(beginAnew).toHaveBeenCalledTimes(1));
});

test("a session that has ended meanwhile leads to the sign-in", async () => {
  serve({ getuserinfo: () => ({ result: 702, error: "not authenticated" }) });
  const { beginAnew, shown } = await page(1);
  come();
  await vi.waitFor(() => expect(shown()).toBeNull());
  expect(beginAnew).not.toHaveBeenCalled();
});

test("the other pages are told of who signs in", async () => {
  serve({});
  const { queries, session } = await page(null);
  const told = heard();
  session.signedIn(queries, { result: 0, uid: 3, name: "bob", email: "" });
  expect(await told).toEqual({ uid: 3 });
});
