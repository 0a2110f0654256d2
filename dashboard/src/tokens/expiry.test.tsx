import { MantineProvider } from "@mantine/core";
import { fireEvent, render, screen } from "@testing-library/react";
import { useState } from "react";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Expiry } from "./expiry";

beforeEach(() => vi.useFakeTimers({ toFake: ["Date"], now: new Date(2026, 10, 28, 12) }));
afterEach(() => vi.useRealTimers());

function Field({ tried = false, refused }: { tried?: boolean; refused?: string }) {
  const [text, setText] = useState("");
  return <MantineProvider env="test"><Expiry text={text} write={setText} choose={setText} tried={tried} refused={refused} /></MantineProvider>;
}

const field = () => screen.getByLabelText<HTMLInputElement>("Expires At");
const write = (value: string) => { fireEvent.focus(field()); fireEvent.change(field(), { target: { value } }); };
const problem = () => document.querySelector(".mantine-TextInput-error")?.textContent;

test("what is wrong with a day is told when it is written, not while it is", () => {
  render(<Field />);
  write("31-02-2027");
  expect(problem()).toBeUndefined();
  fireEvent.blur(field());
  expect(problem()).toBe("Write a day as dd-mm-yyyy.");
  for (const [text, told] of [["27-11-2026", "This day is over."], ["28-11-2026", undefined], ["", undefined]] as const) {
    write(text);
    fireEvent.blur(field());
    expect(problem(), text).toBe(told);
  }
});

test("what was saved in vain, or the API has refused, is told at once", () => {
  const { rerender } = render(<Field />);
  write("1-1-2020");
  rerender(<Field tried />);
  expect(problem()).toBe("This day is over.");
  write("");
  rerender(<Field refused="it is too late" />);
  expect(problem()).toBe("it is too late");
});

test("the usual spans are counted from today, and none is one of them", () => {
  render(<Field />);
  for (const [name, day] of [["Today", "28-11-2026"], ["30 days", "28-12-2026"], ["90 days", "26-02-2027"], ["1 year", "28-11-2027"], ["Never", ""]] as const) {
    fireEvent.click(screen.getByRole("button", { name }));
    expect(field().value).toBe(day);
  }
});

test("the calendar begins with today or the day that is written, and gives the focus back", () => {
  render(<Field />);
  const open = () => {
    fireEvent.click(screen.getByRole("button", { name: "Choose from a calendar" }));
    return screen.getByRole("group", { name: "Calendar" });
  };
  const day = (label: RegExp) => screen.getByRole<HTMLButtonElement>("button", { name: label });
  open();
  expect(document.activeElement).toBe(day(/28 November 2026|November 28, 2026/));
  expect(day(/27 November 2026|November 27, 2026/).disabled).toBe(true);
  fireEvent.click(day(/30 November 2026|November 30, 2026/));
  expect(field().value).toBe("30-11-2026");
  expect(screen.queryByRole("group", { name: "Calendar" })).toBeNull();
  expect(document.activeElement?.getAttribute("aria-label")).toBe("Choose from a calendar");
  write("28-02-2027");
  open();
  expect(document.activeElement).toBe(day(/28 February 2027|February 28, 2027/));
  fireEvent.keyDown(document.activeElement!, { key: "Escape" });
  expect(screen.queryByRole("group", { name: "Calendar" })).toBeNull();
  expect(field().value).toBe("28-02-2027");
});
