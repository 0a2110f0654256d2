/** Moments as the API writes them: `yyyy-MM-dd HH:mm:ss` in UTC. */
const MOMENT = /^(\d{4})-(\d\d)-(\d\d) (\d\d):(\d\d):(\d\d)$/;
/** Days as people write them here. */
const DAY = /^(\d{1,2})-(\d{1,2})-(\d{4})$/;

export function fromApi(text: string): Date {
  if (!MOMENT.test(text)) throw new Error(`no moment of the API's: ${text}`);
  return new Date(`${text.replace(" ", "T")}Z`);
}

export function toApi(moment: Date): string {
  return moment.toISOString().slice(0, 19).replace("T", " ");
}

/** A day of the calendar: the year, the month from 1 on, and the day of the month. */
export interface Day {
  readonly year: number;
  readonly month: number;
  readonly day: number;
}

/** A day that is written as `dd-mm-yyyy`, if there is such a day. */
export function parseDay(text: string): Day | undefined {
  const [, day, month, year] = (DAY.exec(text.trim()) ?? []).map(Number);
  if (day === undefined || month === undefined || year === undefined) return undefined;
  const there = new Date(year, month - 1, day);
  return there.getMonth() === month - 1 && there.getDate() === day ? { year, month, day } : undefined;
}

export function writeDay({ year, month, day }: Day): string {
  const padded = (number: number, length: number) => String(number).padStart(length, "0");
  return `${padded(day, 2)}-${padded(month, 2)}-${padded(year, 4)}`;
}

export function dayOf(moment: Date): Day {
  return { year: moment.getFullYear(), month: moment.getMonth() + 1, day: moment.getDate() };
}

/** What is valid till a day is so to its end, where its owner is. */
export function endOf({ year, month, day }: Day): Date {
  return new Date(year, month - 1, day + 1);
}

/** The last day, wholly or in part, before a moment. */
export function lastDayBefore(moment: Date): Day {
  return dayOf(new Date(moment.getTime() - 1));
}

export function daysFrom(today: Date, count: number): Day {
  return dayOf(new Date(today.getFullYear(), today.getMonth(), today.getDate() + count));
}

/** A day's first moment, where its owner is. */
export function midnight({ year, month, day }: Day): Date {
  return new Date(year, month - 1, day);
}

/** A day as ISO 8601 writes it, which calendars take. */
export function isoOf({ year, month, day }: Day): string {
  return [String(year).padStart(4, "0"), String(month).padStart(2, "0"), String(day).padStart(2, "0")].join("-");
}

export function fromIso(text: string): Day {
  const [year = 0, month = 0, day = 0] = text.slice(0, 10).split("-").map(Number);
  return { year, month, day };
}

/** Why a token cannot be valid to the end of what is written, in words; nothing where it can. */
export function expiryProblem(text: string, now: Date): string | undefined {
  if (text.trim() === "") return undefined;
  const day = parseDay(text);
  if (!day) return "Write a day as dd-mm-yyyy.";
  return endOf(day) <= now ? "This day is over." : undefined;
}

/** The day that weeks begin with in a language and its country: 0 is Sunday. */
export function firstDayOfWeek(locale: string): 0 | 1 | 2 | 3 | 4 | 5 | 6 {
  // Not all browsers know, and they call it by two names.
  const about = new Intl.Locale(locale) as Intl.Locale & { getWeekInfo?: () => WeekInfo; weekInfo?: WeekInfo };
  const { firstDay } = about.getWeekInfo?.() ?? about.weekInfo ?? { firstDay: 1 };
  return (firstDay % 7) as ReturnType<typeof firstDayOfWeek>;
}

interface WeekInfo {
  /** 1 is Monday, 7 Sunday. */
  readonly firstDay: number;
}
