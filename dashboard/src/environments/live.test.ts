import { expect, test } from "vitest";
import type { WatchedEnvironment } from "../api/schema.gen";
import { changed, type Live } from "./live";

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
