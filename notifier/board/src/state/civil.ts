/** The only place where a wall clock becomes instants, and back; by the browser's own zone data. */
import { Temporal } from "temporal-polyfill";
import type { LocalWindow, Schedule, Weekday } from "../api/types";
import { clipped, union, type Minute, type Span } from "./ranges";

export const WEEKDAYS: readonly Weekday[] = ["MO", "TU", "WE", "TH", "FR", "SA", "SU"];

type Edge = "start" | "end";

/** Resolved before: a roster has few zones, and a board shows the same days all the time. */
const resolved = new Map<string, { minute: Minute; gap: boolean }>();
const MOST_RESOLVED = 50_000;

/**
 * The minute that a local time means. In a gap it is taken with the offset before the gap; of a time that
 * exists twice, the first is a start and the second an end.
 */
function resolve(zone: string, date: string, time: string, edge: Edge): { minute: Minute; gap: boolean } {
  const key = `${zone} ${date} ${time} ${edge}`;
  const known = resolved.get(key);
  if (known) return known;
  const whole = time === "24:00";
  const day = Temporal.PlainDate.from(date).add({ days: whole ? 1 : 0 });
  const local = day.toPlainDateTime(Temporal.PlainTime.from(whole ? "00:00" : time));
  const instant = local.toZonedDateTime(zone, { disambiguation: edge === "start" ? "compatible" : "later" });
  const answer = {
    minute: Math.floor(instant.epochMilliseconds / 60_000),
    gap: !instant.toPlainDateTime().equals(local),
  };
  if (resolved.size >= MOST_RESOLVED) resolved.clear();
  resolved.set(key, answer);
  return answer;
}

/** The minute at which a local time of a day starts something. */
export function minuteAt(zone: string, date: string, time: string): Minute {
  return resolve(zone, date, time, "start").minute;
}

/** From the beginning of a local day to the beginning of the next. */
export function dayOf(zone: string, date: string, days = 1): Span {
  return { start: minuteAt(zone, date, "00:00"), end: minuteAt(zone, addDays(date, days), "00:00") };
}

/** Dates without a clock are plain arithmetic. */
const DAY_MS = 86_400_000;

export function addDays(date: string, days: number): string {
  return new Date(Date.parse(date) + days * DAY_MS).toISOString().slice(0, 10);
}

export function weekdayOf(date: string): Weekday {
  return WEEKDAYS[(new Date(Date.parse(date)).getUTCDay() + 6) % 7] ?? "MO";
}

/** Read before: all rows ask about the same few minutes. */
const read = new Map<string, { date: string; time: string }>();
const MOST_READ = 10_000;

/** The local date and time of a minute. */
export function localOf(zone: string, minute: Minute): { date: string; time: string } {
  const key = `${zone} ${minute}`;
  const known = read.get(key);
  if (known) return known;
  const local = Temporal.Instant.fromEpochMilliseconds(minute * 60_000).toZonedDateTimeISO(zone);
  const answer = { date: local.toPlainDate().toString(), time: local.toPlainTime().toString({ smallestUnit: "minute" }) };
  if (read.size >= MOST_READ) read.clear();
  read.set(key, answer);
  return answer;
}

export function dateOf(zone: string, minute: Minute): string {
  return localOf(zone, minute).date;
}

/** What a window of a local day means; null where nothing is left of it. */
export function windowSpan(zone: string, date: string, window: LocalWindow): Span | null {
  const start = resolve(zone, date, window.start, "start");
  const endDate = window.end !== "24:00" && window.end <= window.start ? addDays(date, 1) : date;
  const end = resolve(zone, endDate, window.end, "end");
  if (start.gap && end.gap && endDate === date) return null;
  return start.minute < end.minute ? { start: start.minute, end: end.minute } : null;
}

/** The windows that start on a local day: the override's where there is one, else the weekly ones. */
export function windowsOfDay(schedule: Schedule, date: string): LocalWindow[] {
  const override = schedule.dateOverrides.find((day) => day.date === date);
  if (override) return override.windows;
  const weekday = weekdayOf(date);
  return schedule.workingHours.filter((hours) => hours.days.includes(weekday));
}

/** Working time within `range`; merged, ascending. */
export function workingTime(schedule: Schedule, range: Span): Span[] {
  const spans: Span[] = [];
  // A window of the day before may reach into the range.
  const last = addDays(dateOf(schedule.timeZone, range.end), 1);
  for (let date = addDays(dateOf(schedule.timeZone, range.start), -1); date < last; date = addDays(date, 1)) {
    for (const window of windowsOfDay(schedule, date)) {
      const span = windowSpan(schedule.timeZone, date, window);
      const shown = span && clipped(span, range);
      if (shown) spans.push(shown);
    }
  }
  return union(spans);
}
