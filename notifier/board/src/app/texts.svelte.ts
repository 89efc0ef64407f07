/** The language, and how times and dates are written in it. */
import { de } from "../i18n/de";
import { en, type Key, type Params } from "../i18n/en";
import { fill } from "../i18n/fill";
import type { Minute } from "../state/ranges";
import { settings } from "./settings.svelte";

const CATALOGUES = { en, de } satisfies Record<string, Record<Key, string>>;
export type Language = keyof typeof CATALOGUES;
export const LANGUAGES: Record<Language, string> = { en: "English", de: "Deutsch" };

/** Asked once: a browser makes a new list of its languages with every question. */
const WANTED = navigator.languages;
const PREFERRED = WANTED.map((tag) => tag.split("-")[0]).find((tag) => tag && tag in CATALOGUES) as Language | undefined;

/** The language that is shown. */
export function language(): Language {
  return settings.language === "auto" ? (PREFERRED ?? "en") : settings.language;
}

/** The browser's own variant of the language, for dates and times. */
function locale(): string {
  const shown = language();
  return WANTED.find((tag) => tag.startsWith(shown)) ?? shown;
}

type Values<K extends Key> = [Params<K>] extends [never] ? [] : [Record<Params<K>, string | number>];

/** A text in the language that is shown. */
export function t<K extends Key>(key: K, ...[values]: Values<K>): string {
  return fill(CATALOGUES[language()][key], values ?? {}, language());
}

/** How a moment is written. */
const STYLES = {
  time: { hour: "numeric", minute: "2-digit" },
  exactTime: { hour: "numeric", minute: "2-digit", second: "2-digit" },
  hour: { hour: "numeric" },
  day: { weekday: "short", day: "numeric", month: "short" },
  longDay: { weekday: "long", day: "numeric", month: "long", year: "numeric" },
  weekday: { weekday: "long" },
} satisfies Record<string, Intl.DateTimeFormatOptions>;

/** To make one costs a thousand times what it costs to use it. */
const formats = new Map<string, Intl.DateTimeFormat>();

function format(zone: string, style: keyof typeof STYLES): Intl.DateTimeFormat {
  const key = `${style} ${zone} ${settings.clock} ${locale()}`;
  let known = formats.get(key);
  if (!known) {
    const options: Intl.DateTimeFormatOptions = STYLES[style];
    known = new Intl.DateTimeFormat(locale(), { timeZone: zone, ...options, ...(options.hour ? hours() : {}) });
    formats.set(key, known);
  }
  return known;
}

/** How hours are written: 09 of 24, or 9 of 12. */
function hours(): Intl.DateTimeFormatOptions {
  const usual = new Intl.DateTimeFormat(locale(), { hour: "numeric" }).resolvedOptions().hourCycle;
  const twelve = settings.clock === "auto" ? usual === "h12" || usual === "h11" : settings.clock === "12";
  return twelve ? { hour: "numeric", hourCycle: "h12" } : { hour: "2-digit", hourCycle: "h23" };
}

/** 09:30, or 9:30 AM. */
export function time(minute: Minute, zone: string): string {
  return format(zone, "time").format(minute * 60_000);
}

/** With seconds. */
export function exactTime(ms: number, zone: string): string {
  return format(zone, "exactTime").format(ms);
}

/** 9, or 9 AM: the hours above the timeline. */
export function hour(minute: Minute, zone: string): string {
  return format(zone, "hour").format(minute * 60_000);
}

/** Tue 24 Nov. */
export function day(minute: Minute, zone: string): string {
  return format(zone, "day").format(minute * 60_000);
}

export function longDay(minute: Minute, zone: string): string {
  return format(zone, "longDay").format(minute * 60_000);
}

/** Tue 24 Nov, 09:30. */
export function dayTime(minute: Minute, zone: string): string {
  return `${day(minute, zone)}, ${time(minute, zone)}`;
}

/** 09:00–11:00. */
export function timeRange(start: Minute, end: Minute, zone: string): string {
  return format(zone, "time").formatRange(start * 60_000, end * 60_000);
}

/** A wall-clock time `HH:MM` as people write it. */
export function wallTime(text: string): string {
  if (text === "24:00") return text;
  const [hours = 0, minutes = 0] = text.split(":").map(Number);
  return time(hours * 60 + minutes, "UTC");
}

/** A calendar date `YYYY-MM-DD` as people write it. */
export function calendarDay(date: string): string {
  return day(Date.parse(`${date}T12:00:00Z`) / 60_000, "UTC");
}

const MONDAY = Date.UTC(2024, 0, 1, 12);

/** The name of a weekday, Monday being 0. */
export function weekday(index: number): string {
  return format("UTC", "weekday").format(MONDAY + index * 86_400_000);
}

/** 90 minutes as 1 h 30 min. */
export function duration(minutes: number): string {
  const [hours, rest] = [Math.floor(minutes / 60), minutes % 60];
  return [hours > 0 ? `${hours} h` : "", rest > 0 || hours === 0 ? `${rest} min` : ""].filter(Boolean).join(" ");
}

/** The city of a zone, and what its clock is ahead. */
export function zoneName(zone: string): string {
  return (zone.split("/").at(-1) ?? zone).replaceAll("_", " ");
}

const lists = new Map<string, Intl.ListFormat>();

export function list(items: string[]): string {
  let known = lists.get(locale());
  if (!known) lists.set(locale(), (known = new Intl.ListFormat(locale(), { type: "conjunction" })));
  return known.format(items);
}
