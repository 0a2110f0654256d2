import { MantineProvider } from "@mantine/core";
import { QueryClientProvider } from "@tanstack/react-query";
import { fireEvent, render, screen, waitFor } from "@testing-library/react";
import { afterEach, expect, test, vi } from "vitest";
import { serve, stream } from "../../tests/unit/server";
import { App } from "../app";
import { newQueries } from "../queries";
import { theme } from "./theme";

afterEach(() => vi.unstubAllGlobals());

test("what fails after its question was closed is told on another page, until that is closed", async () => {
  let fail: () => void = () => undefined;
  serve({
    getuserinfo: () => ({ uid: 1, name: "alice" }),
    watchenvs: () => stream("snapshot", { infos: [{ env: { appid: "1", envName: "shop", displayName: "shop", status: 1 }, nodes: [] }] }),
    gettokens: () => ({ apiTokens: [] }),
    stopenv: () => new Promise((_, reject) => { fail = () => reject(new Error("gone")); }),
  });
  window.history.pushState(null, "", "/environments");
  render(<QueryClientProvider client={newQueries()}><MantineProvider env="test" theme={theme}><App /></MantineProvider></QueryClientProvider>);
  fireEvent.click(await screen.findByLabelText("Actions for shop"));
  fireEvent.click(await screen.findByText("Stop"));
  const question = await screen.findByRole("dialog");
  fireEvent.click([...question.querySelectorAll("button")].find(({ textContent }) => textContent === "Stop")!);
  await screen.findByText("It is being done. You can close this: it goes on.");
  fireEvent.keyDown(question, { key: "Escape" });
  await waitFor(() => expect(screen.queryByRole("dialog")).toBeNull());
  fireEvent.click(screen.getByText("Settings"));
  await screen.findByText("There are no tokens yet. Generate one, for a script to use.");
  fail();
  const told = await screen.findByRole("alert");
  expect(told.textContent).toContain("Stop “shop”: The service does not answer.");
  expect(told.closest("section")?.getAttribute("aria-label")).toBe("Notices");
  fireEvent.click(screen.getByText("API"));
  expect(screen.getByRole("alert")).toBe(told);
  fireEvent.click(screen.getByLabelText("Close"));
  expect(screen.queryByRole("alert")).toBeNull();
});
