import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { renderHook, waitFor } from "@testing-library/react";
import { createElement, type ReactNode } from "react";
import { afterEach, expect, test, vi } from "vitest";
import { serve, stream } from "../../tests/unit/server";
import type { WatchedEnvironment } from "../api/schema.gen";
import { changed, type Live, useEnvironments } from "./live";

afterEach(() => {
  vi.unstubAllGlobals();
  vi.restoreAllMocks();
});

const environment = (envName: string, status: number) => ({ env: { envName, status }, nodes: [] }) as unknown as WatchedEnvironment;
const told = ({ environments }: Live) => environments?.map(({ env }) => [env?.envName, env?.status]);
const nothing: Live = { environments: undefined, trouble: undefined };

test("what is watched is shown in the order of names", () => {
  const all = changed(nothing, { kind: "snapshot", environments: [environment("shop", 1), environment("blog", 2)] });
  expect(told(all)).toEqual([["blog", 2], ["shop", 1]]);
  const stopped = changed(all, { kind: "changed", environment: environment("shop", 2) });
  expect(told(stopped)).toEqual([["blog", 2], ["shop", 2]]);
  const more = changed(stopped, { kind: "changed", environment: environment("cms", 6) });
  expect(told(more)).toEqual([["blog", 2], ["cms", 6], ["shop", 2]]);
  expect(told(changed(more, { kind: "removed", name: "blog" }))).toEqual([["cms", 6], ["shop", 2]]);
  expect(told(changed(more, { kind: "snapshot", environments: [] }))).toEqual([]);
});

test("what was seen last stays there in an outage", () => {
  const all = changed(nothing, { kind: "snapshot", environments: [environment("shop", 1)] });
  const trouble = new Error("gone");
  const out = changed(all, { kind: "trouble", trouble });
  expect([told(out), out.trouble]).toEqual([[["shop", 1]], trouble]);
  expect(changed(out, { kind: "trouble", trouble })).toBe(out);
  expect(changed(out, { kind: "trouble", trouble: undefined }).trouble).toBeUndefined();
});

test("what is not seen is not followed, and is read anew when it is", async () => {
  const watched = () => asked.filter((method) => method.startsWith("watchenvs"));
  let status = 1;
  const asked = serve({ watchenvs: () => stream("snapshot", { infos: [environment("shop", status)] }) });
  const wrapper = ({ children }: { children: ReactNode }) => createElement(QueryClientProvider, { client: new QueryClient() }, children);
  const { result, unmount } = renderHook(useEnvironments, { wrapper });
  await waitFor(() => expect(told(result.current)).toEqual([["shop", 1]]));
  const show = (state: DocumentVisibilityState) => {
    vi.spyOn(document, "visibilityState", "get").mockReturnValue(state);
    document.dispatchEvent(new Event("visibilitychange"));
  };
  show("hidden");
  status = 2;
  expect(watched()).toEqual(["watchenvs", "watchenvs left"]);
  show("visible");
  await waitFor(() => expect(told(result.current)).toEqual([["shop", 2]]));
  expect(watched()).toEqual(["watchenvs", "watchenvs left", "watchenvs"]);
  unmount();
  expect(watched()).toHaveLength(4);
  show("hidden");
  show("visible");
  expect(watched()).toHaveLength(4);
});
