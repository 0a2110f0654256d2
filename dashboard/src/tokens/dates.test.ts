import { expect, test } from "vitest";
import { dayOf, daysFrom, endOf, expiryProblem, firstDayOfWeek, fromApi, fromIso, isoOf, lastDayBefore, midnight, parseDay, toApi, writeDay } from "./dates";

test("days are tried where it is said that they are", () => {
  const zone = process.env.ZONE;
  if (zone !== undefined) expect(Intl.DateTimeFormat().resolvedOptions().timeZone).toBe(zone);
});

test("a moment of the API's is in UTC", () => {
  expect(fromApi("2026-11-25 20:15:00").getTime()).toBe(Date.UTC(2026, 10, 25, 20, 15));
  expect(toApi(new Date(Date.UTC(2026, 0, 2, 3, 4, 5, 999)))).toBe("2026-01-02 03:04:05");
  expect(() => fromApi("2026-11-25T20:15:00Z")).toThrow();
});

test("a day is written as dd-mm-yyyy, and is one that there is", () => {
  expect(parseDay("25-11-2026")).toEqual({ year: 2026, month: 11, day: 25 });
  expect(parseDay(" 1-2-2027 ")).toEqual({ year: 2027, month: 2, day: 1 });
  expect(parseDay("29-02-2028")).toEqual({ year: 2028, month: 2, day: 29 });
  for (const text of ["", "29-02-2027", "31-11-2026", "00-01-2027", "11-25-2026", "2026-11-25", "25.11.2026", "1-1-27"]) {
    expect(parseDay(text), text).toBeUndefined();
  }
  expect(writeDay({ year: 2027, month: 2, day: 1 })).toBe("01-02-2027");
});

test("what is valid till a day is so to its end", () => {
  const day = { year: 2026, month: 12, day: 31 };
  expect(endOf(day)).toEqual(new Date(2027, 0, 1));
  expect(lastDayBefore(endOf(day))).toEqual(day);
  expect(lastDayBefore(new Date(2026, 11, 31, 12))).toEqual(day);
  expect(dayOf(new Date(2026, 11, 31, 23, 59))).toEqual(day);
  expect(daysFrom(new Date(2026, 11, 1, 15), 30)).toEqual(day);
});

test("a day ends at the midnight of where its owner is", () => {
  const ends: Record<string, string> = { "UTC": "2099-03-01 00:00:00", "Pacific/Auckland": "2099-02-28 11:00:00", "America/Los_Angeles": "2099-03-01 08:00:00" };
  const end = ends[Intl.DateTimeFormat().resolvedOptions().timeZone];
  const day = { year: 2099, month: 2, day: 28 };
  if (end !== undefined) expect(toApi(endOf(day))).toBe(end);
  expect(lastDayBefore(fromApi(toApi(endOf(day))))).toEqual(day);
});

test("a calendar's day is the same day", () => {
  const day = { year: 2027, month: 2, day: 1 };
  expect([isoOf(day), fromIso("2027-02-01"), fromIso("2027-02-01 00:00:00")]).toEqual(["2027-02-01", day, day]);
  expect(midnight(day)).toEqual(new Date(2027, 1, 1));
  expect(["en-GB", "en-US", "ar-EG"].map(firstDayOfWeek)).toEqual([1, 0, 6]);
});

test("a token cannot end on a day that is over, or that there is not", () => {
  const now = new Date(2026, 10, 28, 12);
  const told = ["", "28-11-2026", "27-11-2026", "31-11-2026"].map((text) => expiryProblem(text, now));
  expect(told).toEqual([undefined, undefined, "This day is over.", "Write a day as dd-mm-yyyy."]);
});
