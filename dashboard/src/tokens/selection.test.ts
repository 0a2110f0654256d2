import { expect, test } from "vitest";
import { clicked, type Held, kept, NOTHING, type Selection } from "./selection";

const ROWS = [9, 7, 5, 3, 1];
const none: Held = { shift: false, toggle: false };
const shift: Held = { shift: true, toggle: false };
const control: Held = { shift: false, toggle: true };
const after = (...clicks: [number, Held][]) =>
  [...clicks.reduce<Selection>((before, [row, held]) => clicked(before, ROWS, row, held), NOTHING).chosen].sort();

test("a click selects a row and no other", () => {
  expect(after([7, none])).toEqual([7]);
  expect(after([7, none], [3, none])).toEqual([3]);
});

test("with control a row is added or taken away", () => {
  expect(after([7, none], [3, control])).toEqual([3, 7]);
  expect(after([7, none], [3, control], [7, control])).toEqual([3]);
  expect(after([7, control])).toEqual([7]);
});

test("with shift all up to the row are selected, whichever is first", () => {
  expect(after([7, none], [3, shift])).toEqual([3, 5, 7]);
  expect(after([3, none], [7, shift])).toEqual([3, 5, 7]);
  expect(after([7, none], [1, shift], [5, shift])).toEqual([5, 7], );
  expect(after([7, none], [1, control], [3, { shift: true, toggle: true }])).toEqual([1, 3, 7]);
  expect(after([5, shift])).toEqual([5]);
});

test("what is gone is not selected", () => {
  const selection = clicked(clicked(NOTHING, ROWS, 7, none), ROWS, 3, shift);
  expect(kept(selection, ROWS)).toBe(selection);
  expect([...kept(selection, [9, 5]).chosen]).toEqual([5]);
  expect(kept(selection, [9, 5]).anchor).toBeUndefined();
});
