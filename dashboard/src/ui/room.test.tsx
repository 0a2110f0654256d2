import { MantineProvider } from "@mantine/core";
import { QueryClientProvider } from "@tanstack/react-query";
import { cleanup, render, screen, waitFor } from "@testing-library/react";
import type { ComponentType } from "react";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { serve, stream, windowOf } from "../../tests/unit/server";
import { EnvironmentDetail } from "../environments/detail";
import { Environments } from "../environments/page";
import { newQueries } from "../queries";
import { AuditLog } from "../settings/audit";
import { Sessions } from "../settings/sessions";
import { Tokens } from "../tokens/page";

const ENVIRONMENT = {
  env: { appid: "1", envName: "shop", displayName: "Shop", status: 1 },
  nodes: [{ id: 7, nodeType: "web", nodeGroup: "cp", status: 1, version: "1.27", url: "http://10.0.0.7:8080" }],
};

beforeEach(() => serve({
  watchenvs: () => stream("snapshot", { infos: [ENVIRONMENT] }),
  gettokens: () => ({ apiTokens: [{ id: 1, description: "deploys", apiListItems: [], tokenTemplate: { id: 2, name: "IDE Plugins", apiListItems: [] } }] }),
  gettokenuses: () => ({ uses: [{ id: 1, day: new Date().toISOString().slice(0, 10), count: 3 }] }),
  getsessions: () => ({ sessions: [{ id: 4, host: "192.0.2.1", userAgent: "Firefox", createdOn: "2026-01-02 03:04:05", lastAccess: "2026-01-02 03:04:05", current: false }] }),
  getauditlog: () => ({ entries: [{ id: 9, at: "2026-01-02 03:04:05", action: "token.edit", object: "token 1", changes: "", actor: "alice", address: "192.0.2.1", outcome: "SUCCESS" }] }),
}));
afterEach(() => vi.unstubAllGlobals());

/** Draws a page in a window of some width, and answers with what is written in a row below what it is called by. */
async function lines(Page: ComponentType, name: RegExp, width: number): Promise<() => string> {
  cleanup();
  windowOf(width);
  render(<QueryClientProvider client={newQueries()}><MantineProvider env="test"><Page /></MantineProvider></QueryClientProvider>);
  const row = await screen.findByRole("row", { name });
  return () => [...row.querySelectorAll("th p, td p")].map(({ textContent }) => textContent).join("; ");
}

const Detail = () => <EnvironmentDetail name="shop" />;

test.each<[string, ComponentType, RegExp, RegExp, string]>([
  ["a token", Tokens, /deploys/, /^API: IDE Plugins; Expires: never; Last use: never; Last 30 days: 3 uses$/, "Last use: never; Last 30 days: 3 uses"],
  ["a session", Sessions, /192/, /^Program: Firefox; Signed in: .*2026.*; Firefox$/, "Firefox"],
  ["the audit log", AuditLog, /token\.edit/, /^By: alice; From: 192\.0\.2\.1; Outcome: done$/, "From: 192.0.2.1"],
  ["an environment", Environments, /Shop/, /^shop; Nodes: 1 of 1 running$/, "shop"],
  ["a node", Detail, /web 7/, /^Group: cp; Version: 1\.27; Address: http:\/\/10\.0\.0\.7:8080$/, "Address: http://10.0.0.7:8080"],
])("what has no room for a column of its own is told below: %s", async (_, Page, name, narrow, medium) => {
  const small = await lines(Page, name, 360);
  await waitFor(() => expect(small()).toMatch(narrow));
  const middle = await lines(Page, name, 800);
  await waitFor(() => expect(middle()).toBe(medium));
  const wide = await lines(Page, name, 1280);
  expect(wide()).not.toContain(": ");
});
