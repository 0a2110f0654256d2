import { ActionIcon, Button, Group, Paper, Stack, TextInput } from "@mantine/core";
import { DatePicker } from "@mantine/dates";
import { IconCalendar } from "@tabler/icons-react";
import { useEffect, useId, useRef, useState } from "react";
import { dayOf, daysFrom, expiryProblem, firstDayOfWeek, fromIso, isoOf, midnight, parseDay, writeDay } from "./dates";

const PRESETS = [["Today", 0], ["30 days", 30], ["90 days", 90], ["1 year", 365]] as const;

interface Asked {
  /** The day as it is written, `dd-mm-yyyy`; empty for none. */
  readonly text: string;
  /** What is there already, and may stay, be it over or not. */
  readonly kept?: string | undefined;
  /** A day is written, letter by letter. */
  readonly write: (text: string) => void;
  /** A day, or none, is chosen by a button or from the calendar, be it the one that is written already. */
  readonly choose: (text: string) => void;
  /** Whether all was to be saved already. */
  readonly tried: boolean;
  /** What was wrong with the day, as the API has told. */
  readonly refused: string | undefined;
}

/** The last day of a token: written, chosen from a calendar, one of the usual spans, or none. */
export function Expiry({ text, kept, write, choose, tried, refused }: Asked) {
  const [left, setLeft] = useState(false);
  const [open, setOpen] = useState(false);
  const button = useRef<HTMLButtonElement>(null);
  const calendar = useId();
  const problem = (left || tried) && text !== kept ? expiryProblem(text, new Date()) : undefined;
  const chosen = (text: string) => { setLeft(true); choose(text); };
  const close = () => { setOpen(false); button.current?.focus(); };
  return (
    <Stack gap={6}>
      <TextInput
        label="Expires At"
        description="dd-mm-yyyy: valid to the end of that day. Empty: it does not expire."
        placeholder="dd-mm-yyyy"
        autoComplete="off"
        value={text}
        error={problem ?? refused}
        onChange={(event) => write(event.currentTarget.value)}
        onFocus={() => setLeft(false)}
        onBlur={() => setLeft(true)}
        rightSectionPointerEvents="all"
        rightSection={
          <ActionIcon ref={button} variant="subtle" size="lg" aria-label="Choose from a calendar" aria-expanded={open} {...(open && { "aria-controls": calendar })} onClick={() => setOpen(!open)}>
            <IconCalendar size={18} aria-hidden />
          </ActionIcon>
        }
      />
      {open && <Calendar id={calendar} text={text} close={close} choose={(text) => { chosen(text); close(); }} />}
      <Group gap="xs">
        {PRESETS.map(([name, days]) => (
          <Button key={name} size="compact-sm" variant="default" onClick={() => chosen(writeDay(daysFrom(new Date(), days)))}>{name}</Button>
        ))}
        <Button size="compact-sm" variant="default" onClick={() => chosen("")}>Never</Button>
      </Group>
    </Stack>
  );
}

/** The days from today on. It stands between the fields and not over them, and has the focus when it comes. */
function Calendar({ id, text, choose, close }: { id: string; text: string; choose: (text: string) => void; close: () => void }) {
  const here = useRef<HTMLDivElement>(null);
  useEffect(() => here.current?.querySelector<HTMLElement>("[data-first]")?.focus(), []);
  const today = isoOf(dayOf(new Date()));
  const day = parseDay(text);
  const value = day && isoOf(day) >= today ? isoOf(day) : null;
  return (
    <Paper ref={here} id={id} withBorder p="xs" role="group" aria-label="Calendar" onKeyDown={(event) => { if (event.key === "Escape") close(); }}>
      <DatePicker
        // Escape is for the calendar, and not for the dialog that it stands in.
        __stopPropagation
        mx="auto"
        w="max-content"
        value={value}
        defaultDate={value ?? today}
        minDate={today}
        hideOutsideDates
        highlightToday
        firstDayOfWeek={firstDayOfWeek(navigator.language)}
        weekendDays={[]}
        monthLabelFormat={(iso) => MONTH.format(midnight(fromIso(iso)))}
        weekdayFormat={(iso) => WEEKDAY.format(midnight(fromIso(iso)))}
        monthsListFormat={(iso) => SHORT_MONTH.format(midnight(fromIso(iso)))}
        getDayAriaLabel={(iso) => FULL.format(midnight(fromIso(iso)))}
        getDayProps={(iso) => (iso === (value ?? today) ? { "data-first": true } : {})}
        ariaLabels={{ previousMonth: "The month before", nextMonth: "The month after", previousYear: "The year before", nextYear: "The year after", previousDecade: "The decade before", nextDecade: "The decade after" }}
        // The day that is chosen already may be chosen again.
        onChange={(iso) => (iso ? choose(writeDay(fromIso(iso))) : close())}
      />
    </Paper>
  );
}

const MONTH = new Intl.DateTimeFormat(undefined, { month: "long", year: "numeric" });
const SHORT_MONTH = new Intl.DateTimeFormat(undefined, { month: "short" });
const WEEKDAY = new Intl.DateTimeFormat(undefined, { weekday: "short" });
const FULL = new Intl.DateTimeFormat(undefined, { weekday: "long", day: "numeric", month: "long", year: "numeric" });
