import { MantineProvider } from "@mantine/core";
import { QueryClientProvider } from "@tanstack/react-query";
import { fireEvent, render, screen, waitFor } from "@testing-library/react";
import type { ReactNode } from "react";
import { afterEach, expect, test, vi } from "vitest";
import { serve } from "../../tests/unit/server";
import { newQueries } from "../queries";
import { Password } from "../settings/password";
import { SignIn } from "../signin";
import { Remove } from "../tokens/dialogs";
import { theme } from "./theme";

const WRONG = { result: 8, error: "the password is wrong", reason: "WRONG_PASSWORD", source: "JEL", parameter: "password" };

afterEach(() => vi.unstubAllGlobals());

const draw = (page: ReactNode) => render(<QueryClientProvider client={newQueries()}><MantineProvider env="test" theme={theme}>{page}</MantineProvider></QueryClientProvider>);
const field = (label: string) => [...document.querySelectorAll("input")].find(({ labels }) => labels?.[0]?.textContent.startsWith(label))!;
/** What somebody who does not see the page is told of a field. */
const described = (input: HTMLInputElement) => input.getAttribute("aria-describedby")?.split(" ").map((id) => document.getElementById(id)?.textContent).join(" ");

/** Writes into a field and sends it with a click, which takes the focus away. */
function send(input: HTMLInputElement, value: string, button: string): void {
  fireEvent.change(input, { target: { value } });
  const click = screen.getByRole("button", { name: button });
  click.focus();
  fireEvent.click(click);
}

test("a wrong password is told beside the field, which has the focus again and can be tried at once", async () => {
  serve({ deletetokens: () => WRONG });
  draw(<Remove tokens={[]} close={vi.fn()} tell={vi.fn()} />);
  await waitFor(() => expect(document.activeElement).toBe(field("Your password")));
  for (const guess of ["one", "two"]) {
    send(field("Your password"), guess, "Remove");
    await waitFor(() => expect(document.activeElement).toBe(field("Your password")));
    expect([field("Your password").value, field("Your password").getAttribute("aria-invalid")]).toEqual(["", "true"]);
    expect(described(field("Your password"))).toBe("The password is wrong.");
    expect(screen.getByRole("alert").textContent).toBe("The password is wrong.");
  }
});

test("at the sign-in the password has the focus again", async () => {
  serve({ signin: () => ({ ...WRONG, result: 8100, error: "the login or the password is wrong", parameter: undefined }) });
  draw(<SignIn />);
  fireEvent.change(field("Login"), { target: { value: "alice" } });
  send(field("Password"), "guess", "Sign in");
  await waitFor(() => expect(document.activeElement).toBe(field("Password")));
  expect(field("Password").getAttribute("aria-invalid")).toBe("true");
  expect(screen.getByRole("alert").textContent).toContain("The login or the password is wrong.");
});

test("of several fields the one that is wrong is led to", async () => {
  let answer: object = { ...WRONG, error: "`newPassword` is too short", parameter: "newPassword" };
  serve({ changepassword: () => answer });
  draw(<Password />);
  fireEvent.change(field("New password"), { target: { value: "short" } });
  fireEvent.change(field("New password, again"), { target: { value: "other" } });
  send(field("Present password"), "mine", "Change");
  await waitFor(() => expect(document.activeElement).toBe(field("New password, again")));
  expect(described(field("New password, again"))).toBe("This is not the same.");
  fireEvent.change(field("New password, again"), { target: { value: "short" } });
  send(field("Present password"), "mine", "Change");
  await waitFor(() => expect(described(field("New password"))).toBe("`newPassword` is too short."));
  expect(document.activeElement).toBe(field("New password"));
  answer = WRONG;
  send(field("Present password"), "mine", "Change");
  await waitFor(() => expect(described(field("Present password"))).toBe("The password is wrong."));
  expect(document.activeElement).toBe(field("Present password"));
});
