import { expect, test } from "vitest";
import type { ApiToken } from "../api/schema.gen";
import { changesOf, parameters } from "./changes";
import { endOf, toApi } from "./dates";
import { draftOf } from "./form";

const item = (method: string) => ({ id: 1, method, isSafe: false, isCollaborationAccessible: false });
const TOKEN: ApiToken = {
  id: 7, description: "deploys", apiListItems: [item("environment.control.StopEnv")], environments: ["staging-*"], sourceNetworks: [],
  expiresAt: "2099-03-14 10:20:30", expiresSoon: false, isExpired: false, isSystem: false, createdOn: "2026-01-01 00:00:00",
  useCount: 0, tokenTemplate: { id: 5, name: "Custom", apiListItems: [] }, lastUsedAddress: "", lastUsedMethod: "",
};
const BEFORE = draftOf(TOKEN);
const DAY = { year: 2099, month: 3, day: 20 };

test("what was not changed is not told, and so stays as it is", () => {
  expect(changesOf(TOKEN, BEFORE)).toEqual({});
  expect(changesOf(TOKEN, { ...BEFORE, description: "another" })).toEqual({ description: "another" });
  expect(changesOf(TOKEN, { ...BEFORE, chosen: new Set(BEFORE.chosen) })).toEqual({});
});

test("what was changed is told, and what was emptied as well", () => {
  expect(changesOf(TOKEN, { ...BEFORE, environments: [] })).toEqual({ environments: ["*"] });
  expect(changesOf(TOKEN, { ...BEFORE, networks: ["10.1.0.0/16"] })).toEqual({ sourceNetworks: ["10.1.0.0/16"] });
  expect(changesOf(TOKEN, { ...BEFORE, until: undefined })).toEqual({ neverExpires: true });
  expect(changesOf(TOKEN, { ...BEFORE, until: DAY })).toEqual({ expiresAt: toApi(endOf(DAY)) });
  expect(changesOf(TOKEN, { ...BEFORE, chosen: new Set(["environment.file.Read"]) })).toEqual({ tokenTemplate: "Custom", apiList: ["environment.file.Read"] });
  expect(changesOf(TOKEN, { ...BEFORE, set: "IDE Plugins", chosen: new Set(["environment.file.Read"]) })).toEqual({ tokenTemplate: "IDE Plugins" });
});

test("the last day is told where it is chosen anew, and the token ends earlier on it", () => {
  const until = BEFORE.until!;
  expect(changesOf(TOKEN, { ...BEFORE, isNewExpiry: true })).toEqual({ expiresAt: toApi(endOf(until)) });
  expect(changesOf({ ...TOKEN, expiresAt: toApi(endOf(until)) }, { ...BEFORE, isNewExpiry: true })).toEqual({});
  const lasting = { ...TOKEN };
  delete lasting.expiresAt;
  expect(changesOf(lasting, { ...draftOf(lasting), isNewExpiry: true })).toEqual({});
});

test("methods that are picked by hand are no set, be they just those of one", () => {
  const follows = { ...TOKEN, tokenTemplate: { id: 2, name: "IDE Plugins", apiListItems: [] } };
  expect(changesOf(TOKEN, { ...BEFORE, set: "IDE Plugins" })).toEqual({ tokenTemplate: "IDE Plugins" });
  expect(changesOf(follows, { ...draftOf(follows), set: "Custom" })).toEqual({ tokenTemplate: "Custom", apiList: ["environment.control.StopEnv"] });
  // The set has grown since the token was read: the token has grown with it.
  expect(changesOf(follows, { ...draftOf(follows), chosen: new Set(["environment.control.StopEnv", "environment.file.Read"]) })).toEqual({});
  expect(parameters(draftOf(follows))).toMatchObject({ tokenTemplate: "IDE Plugins" });
});

test("a token like another is made with all of it", () => {
  expect(parameters({ ...BEFORE, until: undefined })).toEqual({
    description: "deploys", tokenTemplate: "Custom", apiList: ["environment.control.StopEnv"], environments: ["staging-*"], sourceNetworks: ["*"],
  });
});
