import { MantineProvider } from "@mantine/core";
import { QueryClientProvider } from "@tanstack/react-query";
import { fireEvent, render, screen } from "@testing-library/react";
import { expect, test, vi } from "vitest";
import type { ApiListItem, ApiToken } from "../api/schema.gen";
import { newQueries } from "../queries";
import { changesOf } from "./changes";
import { dayOf, endOf, toApi } from "./dates";
import { type Draft, draftOf, TokenForm } from "./form";

const METHODS = ["environment.control.StartEnv", "environment.control.StopEnv", "environment.file.Read"].map(
  (method, id): ApiListItem => ({ id, method, isSafe: method.includes("Read"), isCollaborationAccessible: false }),
);
const SETS = [{ id: 2, name: "IDE Plugins", apiListItems: METHODS.slice(0, 2) }, { id: 3, name: "Extended Access", apiListItems: METHODS }];
const NAMES = METHODS.map(({ method }) => method);

const token = (name: string, more: Partial<ApiToken> = {}): ApiToken => ({
  id: 7, description: "deploys", apiListItems: METHODS.slice(0, 2), environments: [], sourceNetworks: [], expiresSoon: false, isExpired: false, isSystem: false,
  createdOn: "2026-01-01 00:00:00", useCount: 0, tokenTemplate: { id: 2, name, apiListItems: [] }, lastUsedAddress: "", lastUsedMethod: "", ...more,
});

/** Draws the form of a token, and answers with what is saved of it. */
async function form(edited: ApiToken): Promise<() => Draft> {
  const queries = newQueries();
  queries.setQueryData(["methods"], METHODS);
  queries.setQueryData(["sets"], SETS);
  queries.setQueryData(["documentation"], new Map());
  const next = vi.fn<(draft: Draft) => void>();
  render(<QueryClientProvider client={queries}><MantineProvider env="test"><TokenForm draft={draftOf(edited)} edited={edited} label="Save" error={null} cancel={vi.fn()} next={next} /></MantineProvider></QueryClientProvider>);
  await screen.findByLabelText("StopEnv");
  return () => {
    fireEvent.click(screen.getByText("Save"));
    return next.mock.lastCall![0];
  };
}

const set = () => screen.getByLabelText<HTMLSelectElement>("API");
const choose = (name: string) => fireEvent.change(set(), { target: { value: name } });
const box = (name: string) => screen.getByLabelText<HTMLInputElement>(name);
const checked = () => NAMES.map((name) => name.split(".").at(-1)!).filter((name) => box(name).checked);

test("Custom is chosen like a set: what is checked stays, and follows no set", async () => {
  const saved = await form(token("IDE Plugins"));
  expect([set().value, checked()]).toEqual(["IDE Plugins", ["StartEnv", "StopEnv"]]);
  choose("Custom");
  expect([set().value, checked()]).toEqual(["Custom", ["StartEnv", "StopEnv"]]);
  expect(saved()).toMatchObject({ set: "Custom", chosen: new Set(NAMES.slice(0, 2)) });
  choose("Extended Access");
  expect(checked()).toEqual(["StartEnv", "StopEnv", "Read"]);
  expect(saved()).toMatchObject({ set: "Extended Access" });
});

test("what is picked by hand stays so, though it becomes just a set", async () => {
  const saved = await form(token("Custom"));
  expect(set().value).toBe("Custom");
  fireEvent.click(box("Read"));
  expect([set().value, checked()]).toEqual(["Custom", ["StartEnv", "StopEnv", "Read"]]);
  expect(saved()).toMatchObject({ set: "Custom" });
  choose("IDE Plugins");
  fireEvent.click(box("StopEnv"));
  fireEvent.click(box("StopEnv"));
  expect([set().value, checked()]).toEqual(["Custom", ["StartEnv", "StopEnv"]]);
  expect(saved()).toMatchObject({ set: "Custom" });
});

test("a token that expired earlier today is valid to the end of today where that is chosen", async () => {
  const earlier = new Date();
  earlier.setHours(0, 0, 1, 0);
  const expired = token("Custom", { expiresAt: toApi(earlier), isExpired: true });
  const saved = await form(expired);
  expect(changesOf(expired, saved())).toEqual({});
  const good = () => screen.queryByText("It is good again with this");
  expect(good()).toBeNull();
  fireEvent.click(screen.getByText("Today"));
  expect(good()).toBeTruthy();
  expect(changesOf(expired, saved())).toEqual({ expiresAt: toApi(endOf(dayOf(earlier))) });
});
