import { expect, test } from "vitest";
import { parts, sentence } from "./words";

const ALL = { ofAll: 40, environments: [], networks: [], until: undefined };

test("it is said what a token can do", () => {
  expect(sentence({ ...ALL, methods: 0, changing: 0 })).toContain("can do nothing yet");
  expect(sentence({ ...ALL, methods: 1, changing: 1, until: { year: 2026, month: 12, day: 31 } })).toBe(
    "Whoever has this token can call one method (changes things) on all of your environments, from anywhere, till the end of 31-12-2026.",
  );
  expect(sentence({ ...ALL, methods: 3, changing: 0, environments: ["staging-*", "shop"], networks: ["10.1.0.0/16"] })).toBe(
    "Whoever has this token can call 3 methods (only reads) on environments called “staging-*” or “shop”, from “10.1.0.0/16”, for ever, until you remove it.",
  );
  expect(sentence({ ...ALL, methods: 40, changing: 25 })).toContain("every method that a token may call (25 of them change things)");
  expect(sentence({ ...ALL, methods: 2, changing: 1 })).toContain("2 methods (one of them changes things)");
});

test("lists are written with commas, spaces or lines between", () => {
  expect(parts(" staging-*, shop;blog\n x ")).toEqual(["staging-*", "shop", "blog", "x"]);
  expect(parts(" , ")).toEqual([]);
});
