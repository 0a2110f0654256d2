import { expect, test } from "vitest";
import type { ApiListItem } from "../api/schema.gen";
import { choiceOf, choose, grouped, shortName, shown } from "./permissions";

const item = (method: string, id: number): ApiListItem => ({ id, method, isSafe: method.includes("Get"), isCollaborationAccessible: false });
const STOP = item("environment.control.StopEnv", 3);
const LIST = item("environment.control.GetEnvs", 5);
const READ = item("environment.file.Read", 30);
const GROUPS = grouped([READ, STOP, LIST]);
const names = (groups: typeof GROUPS) => groups.map(({ name, methods }) => [name, ...methods.map(shortName)]);

test("methods stand under their services", () => {
  expect(names(GROUPS)).toEqual([["environment.control", "GetEnvs", "StopEnv"], ["environment.file", "Read"]]);
});

test("a group is chosen wholly, in part or not", () => {
  const control = GROUPS[0]!;
  const one = choose(new Set(), [STOP], true);
  expect([choiceOf(control, new Set()), choiceOf(control, one)]).toEqual(["none", "some"]);
  const all = choose(one, control.methods, true);
  expect(choiceOf(control, all)).toBe("all");
  expect([...choose(choose(all, [READ], true), control.methods, false)]).toEqual([READ.method]);
  expect([...one]).toEqual([STOP.method]);
});

test("a search is of each word, and of what is checked where that is wanted", () => {
  expect(names(shown(GROUPS, "", undefined))).toEqual(names(GROUPS));
  expect(names(shown(GROUPS, "ENV control stop", undefined))).toEqual([["environment.control", "StopEnv"]]);
  expect(names(shown(GROUPS, "file", undefined))).toEqual([["environment.file", "Read"]]);
  expect(names(shown(GROUPS, "", new Set([LIST.method])))).toEqual([["environment.control", "GetEnvs"]]);
  expect(shown(GROUPS, "stop", new Set([LIST.method]))).toEqual([]);
});
