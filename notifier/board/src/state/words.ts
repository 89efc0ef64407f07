/** A change in words: who, what it is now, and what it was. */
import type { FieldValues, Job, LocalWindow, ScheduleUpdated, TimeOff, WorkingHours } from "../api/types";
import type { Key, Params } from "../i18n/en";
import { WEEKDAYS } from "./civil";
import { minuteOf, type Minute } from "./ranges";

/** How the words are written: the language, and whose clock. */
export interface Writer {
  text<K extends Key>(key: K, values: Record<Params<K>, string | number>): string;
  weekday(index: number): string;
  wallTime(time: string): string;
  calendarDay(date: string): string;
  dayTime(minute: Minute): string;
  time(minute: Minute): string;
  list(items: string[]): string;
}

/** The sentences of a change of `name`'s schedule. */
export function sentences(event: ScheduleUpdated, name: string, w: Writer): string[] {
  const before = event.previousValues;
  const after = event.currentValues;
  if (!before || !after) return [w.text("word.changed", { name })];
  if (event.version === 1) return [w.text("word.created", { name, territory: after.territory ?? "" })];
  return [
    ...jobs(before, after, name, w),
    ...hours(before.workingHours, after.workingHours, name, w),
    ...days(before, after, name, w),
    ...timeOff(before.timeOff, after.timeOff, name, w),
    ...fields(before, after, name, w),
  ];
}

function jobs(before: FieldValues, after: FieldValues, name: string, w: Writer): string[] {
  return pairs<Job>(before.jobs, after.jobs).map(([was, is]) => {
    if (!was && is) return w.text("word.booked", { name, title: is.title, when: jobTime(is, w) });
    if (was && !is) return w.text("word.cancelled", { name, title: was.title, when: jobTime(was, w) });
    if (!was || !is) return w.text("word.changed", { name });
    if (was.start !== is.start || was.end !== is.end) {
      return w.text("word.moved", { name, title: is.title, when: jobTime(is, w), was: jobTime(was, w) });
    }
    if (was.title !== is.title) return w.text("word.renamed", { name, title: is.title, was: was.title });
    return w.text("word.jobChanged", { name, title: is.title });
  });
}

function jobTime(job: Job, w: Writer): string {
  return `${w.dayTime(minuteOf(job.start))}–${w.time(minuteOf(job.end))}`;
}

/** Weekdays that changed alike are told together. */
function hours(was: WorkingHours[] | null | undefined, is: WorkingHours[] | null | undefined, name: string, w: Writer): string[] {
  if (!was || !is) return [];
  const alike = new Map<string, { days: number[]; was: LocalWindow[]; is: LocalWindow[] }>();
  WEEKDAYS.forEach((weekday, index) => {
    const [a, b] = [was, is].map((all) => windows(all.filter((hours) => hours.days.includes(weekday))));
    const key = JSON.stringify([a, b]);
    if (!a || !b || JSON.stringify(a) === JSON.stringify(b)) return;
    const known = alike.get(key);
    if (known) known.days.push(index);
    else alike.set(key, { days: [index], was: a, is: b });
  });
  return [...alike.values()].map((change) => {
    const day = w.list(change.days.map((index) => w.weekday(index)));
    return dayChange(day, change.was, change.is, name, w);
  });
}

function dayChange(day: string, was: LocalWindow[], is: LocalWindow[], name: string, w: Writer): string {
  const [first, other] = [was[0], is[0]];
  if (was.length === 1 && is.length === 1 && first && other) {
    if (first.start === other.start) {
      return w.text("word.ends", { name, day, now: w.wallTime(other.end), was: w.wallTime(first.end) });
    }
    if (first.end === other.end) {
      return w.text("word.starts", { name, day, now: w.wallTime(other.start), was: w.wallTime(first.start) });
    }
  }
  return w.text("word.day", { name, day, now: written(is, w), was: written(was, w) });
}

function days(before: FieldValues, after: FieldValues, name: string, w: Writer): string[] {
  const keys = new Set([...Object.keys(before.dateOverrides ?? {}), ...Object.keys(after.dateOverrides ?? {})]);
  return [...keys].sort().map((date) => {
    const [was, is] = [before.dateOverrides?.[date], after.dateOverrides?.[date]];
    const day = w.calendarDay(date);
    if (is && was) return dayChange(day, windows(was.windows), windows(is.windows), name, w);
    if (is) return w.text("word.override", { name, day, now: written(windows(is.windows), w) });
    return w.text("word.usual", { name, day });
  });
}

function timeOff(was: FieldValues["timeOff"], is: FieldValues["timeOff"], name: string, w: Writer): string[] {
  return pairs<TimeOff>(was, is).map(([before, after]) => {
    const span = after ?? before;
    if (!span) return w.text("word.changed", { name });
    const when = `${w.dayTime(minuteOf(span.start))} – ${w.dayTime(minuteOf(span.end))}`;
    if (!before) return w.text("word.off", { name, when });
    return after ? w.text("word.offChanged", { name, when }) : w.text("word.back", { name, when });
  });
}

function fields(was: FieldValues, is: FieldValues, name: string, w: Writer): string[] {
  const told: string[] = [];
  if (is.status && was.status) {
    const word = (status: string): string => w.text(`status.${status}` as "status.active", {});
    told.push(w.text("word.status", { name, now: word(is.status), was: word(was.status) }));
  }
  if (is.name && was.name) told.push(w.text("word.name", { name: is.name, was: was.name }));
  if (is.territory && was.territory) told.push(w.text("word.territory", { name, now: is.territory, was: was.territory }));
  if (is.timeZone && was.timeZone) told.push(w.text("word.zone", { name, now: is.timeZone, was: was.timeZone }));
  if (is.skills && was.skills) {
    const gained = is.skills.filter((skill) => !was.skills?.includes(skill));
    const lost = was.skills.filter((skill) => !is.skills?.includes(skill));
    if (gained.length > 0) told.push(w.text("word.gained", { name, skills: w.list(gained) }));
    if (lost.length > 0) told.push(w.text("word.lost", { name, skills: w.list(lost) }));
  }
  if (is.bookingRules && was.bookingRules) told.push(w.text("word.rules", { name }));
  return told;
}

function windows(all: LocalWindow[]): LocalWindow[] {
  return all.map(({ start, end }) => ({ start, end })).sort((a, b) => (a.start < b.start ? -1 : 1));
}

function written(all: LocalWindow[], w: Writer): string {
  if (all.length === 0) return w.text("word.free", {});
  return w.list(all.map(({ start, end }) => `${w.wallTime(start)}–${w.wallTime(end)}`));
}

function pairs<T>(was: Record<string, T | null> | undefined, is: Record<string, T | null> | undefined): [T | null, T | null][] {
  const keys = new Set([...Object.keys(was ?? {}), ...Object.keys(is ?? {})]);
  return [...keys].map((key) => [was?.[key] ?? null, is?.[key] ?? null]);
}
