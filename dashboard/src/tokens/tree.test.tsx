import { MantineProvider } from "@mantine/core";
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { createEvent, fireEvent, render, screen, waitFor, within } from "@testing-library/react";
import { useState } from "react";
import { expect, test } from "vitest";
import type { ApiListItem } from "../api/schema.gen";
import { PermissionTree } from "./tree";

const METHODS = ["environment.control.GetEnvs", "environment.control.StartEnv", "environment.control.StopEnv", "environment.file.Read"].map(
  (method, id): ApiListItem => ({ id, method, isSafe: /Get|Read/.test(method), isCollaborationAccessible: false }),
);

function Tree() {
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set());
  return <><PermissionTree methods={METHODS} chosen={chosen} change={setChosen} /><output>{[...chosen].map((method) => method.split(".").at(-1)).join(" ")}</output></>;
}

async function tree(): Promise<void> {
  const queries = new QueryClient();
  queries.setQueryData(["documentation"], new Map([["environment.control.StopEnv", "Stops `all` of it."]]));
  render(<QueryClientProvider client={queries}><MantineProvider env="test"><Tree /></MantineProvider></QueryClientProvider>);
  await screen.findByRole("checkbox", { name: "StopEnv" });
}

const box = (name: string) => screen.getByRole<HTMLInputElement>("checkbox", { name });
const state = (name: string) => (box(name).indeterminate ? "some" : box(name).checked ? "all" : "none");
const boxes = () => screen.getAllByRole("checkbox").map((box) => box.closest("label")?.textContent);
const chosen = () => screen.getByRole("status").textContent;

test("a service's box has three states, and its click checks all of it or nothing", async () => {
  await tree();
  expect([state("environment.control"), state("environment.file")]).toEqual(["none", "none"]);
  fireEvent.click(box("StopEnv"));
  expect([state("environment.control"), chosen()]).toEqual(["some", "StopEnv"]);
  fireEvent.click(box("environment.control"));
  expect([state("environment.control"), state("environment.file"), chosen()]).toEqual(["all", "none", "StopEnv GetEnvs StartEnv"]);
  fireEvent.click(box("GetEnvs"));
  expect(state("environment.control")).toBe("some");
  fireEvent.click(box("environment.control"));
  fireEvent.click(box("environment.control"));
  expect([state("environment.control"), chosen()]).toEqual(["none", ""]);
});

test("a search leaves what it is about, and a service's box counts for no more than is shown", async () => {
  await tree();
  fireEvent.change(screen.getByLabelText("Search"), { target: { value: "control st" } });
  await waitFor(() => expect(boxes()).toEqual(["environment.control", "StartEnv", "StopEnv"]));
  fireEvent.click(box("environment.control"));
  expect([state("environment.control"), chosen()]).toEqual(["all", "StartEnv StopEnv"]);
  fireEvent.change(screen.getByLabelText("Search"), { target: { value: "" } });
  await waitFor(() => expect(boxes()).toHaveLength(6));
  expect(state("environment.control")).toBe("some");
  fireEvent.change(screen.getByLabelText("Search"), { target: { value: "nothing like it" } });
  await screen.findByText("No method is called so.");
});

test("only what is checked is shown, where that is wanted", async () => {
  await tree();
  fireEvent.click(screen.getByLabelText("Only Checked"));
  await screen.findByText("Nothing is checked.");
  fireEvent.click(screen.getByLabelText("Only Checked"));
  fireEvent.click(await screen.findByRole("checkbox", { name: "Read" }));
  fireEvent.click(screen.getByLabelText("Only Checked"));
  await waitFor(() => expect(boxes()).toEqual(["environment.file", "Read"]));
});

test("each method says whether it changes something, and what it does as soon as it has the focus", async () => {
  await tree();
  const row = (name: string) => within(box(name).closest<HTMLElement>("[data-method]")!);
  expect([row("StopEnv").getByText("changes").id, row("GetEnvs").getByText("reads").id]).toEqual([box("StopEnv").getAttribute("aria-describedby"), box("GetEnvs").getAttribute("aria-describedby")]);
  fireEvent.focus(box("StopEnv"));
  expect(screen.getByText("all").tagName).toBe("CODE");
  // What has moved is the method, not the pointer.
  const move = (by: number) => fireEvent(box("GetEnvs"), Object.defineProperty(createEvent.mouseMove(box("GetEnvs")), "movementX", { value: by }));
  move(0);
  expect(screen.queryByText("environment.control.GetEnvs")).toBeNull();
  move(1);
  expect(screen.getByText("environment.control.GetEnvs")).toBeTruthy();
});

const docs = (name: string) => screen.getByRole<HTMLAnchorElement>("link", { name: `Docs of ${name}` });
const press = (...keys: readonly string[]) => { for (const key of keys) fireEvent.keyDown(document.activeElement!, { key: key.replace("Control+", ""), ctrlKey: key.startsWith("Control+") }); };

test("each method's documentation is beside its box, where Tab and the arrows come to it", async () => {
  await tree();
  const stops = () => [...screen.getByRole("grid", { name: "Methods" }).querySelectorAll<HTMLElement>("input, a")].filter(({ tabIndex }) => tabIndex === 0);
  expect(docs("StopEnv").hash).toBe("#environment.control.StopEnv");
  expect(stops()).toEqual([box("environment.control")]);
  box("environment.control").focus();
  press("ArrowUp", "ArrowLeft");
  expect(document.activeElement).toBe(box("environment.control"));
  press("ArrowDown", "ArrowDown");
  expect(document.activeElement).toBe(box("StartEnv"));
  // One row is on Tab's way, not hundreds.
  expect(stops()).toEqual([box("StartEnv"), docs("StartEnv")]);
  press("ArrowRight");
  expect(document.activeElement).toBe(docs("StartEnv"));
  press("ArrowDown", "ArrowDown");
  expect(document.activeElement).toBe(box("environment.file"));
  press("Control+End");
  expect(document.activeElement).toBe(docs("Read"));
  press("Home");
  expect(document.activeElement).toBe(box("Read"));
  press("Control+Home");
  expect(document.activeElement).toBe(box("environment.control"));
  // Where the row of before is not shown any more, it is the first one.
  fireEvent.change(screen.getByLabelText("Search"), { target: { value: "file" } });
  await waitFor(() => expect(stops()).toEqual([box("environment.file")]));
});
