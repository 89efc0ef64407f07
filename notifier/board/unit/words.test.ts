import { describe, expect, it } from "vitest";
import type { FieldValues } from "../src/api/types";
import { de } from "../src/i18n/de";
import { en, type Key } from "../src/i18n/en";
import { fill } from "../src/i18n/fill";
import { instantOf } from "../src/state/ranges";
import { sentences, type Writer } from "../src/state/words";
import { changed } from "./fixtures";

const DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

function writer(texts: Record<Key, string>): Writer {
  return {
    text: (key, values) => fill(texts[key], values, "en"),
    weekday: (index) => DAYS[index] ?? "",
    wallTime: (time) => time,
    calendarDay: (date) => date,
    dayTime: (minute) => instantOf(minute).slice(0, 16).replace("T", " "),
    time: (minute) => instantOf(minute).slice(11, 16),
    list: (items) => items.join(", "),
  };
}

function said(previousValues: FieldValues, currentValues: FieldValues): string[] {
  return sentences(changed(2, { previousValues, currentValues }), "Ada", writer(en));
}

const JOB = { id: "j", title: "Boiler", start: "2026-12-01T09:00:00Z", end: "2026-12-01T11:00:00Z", bufferBeforeMinutes: 0, bufferAfterMinutes: 0 };

describe("a change in words", () => {
  it("tells a shorter Tuesday", () => {
    const week = (end: string): FieldValues => ({
      workingHours: [
        { days: ["MO"], start: "08:00", end: "17:00" },
        { days: ["TU"], start: "08:00", end },
      ],
    });
    expect(said(week("17:00"), week("15:00"))).toEqual(["Ada's Tuesday now ends 15:00, was 17:00"]);
  });

  it("tells weekdays that changed alike together", () => {
    const was: FieldValues = { workingHours: [{ days: ["MO", "TU"], start: "08:00", end: "17:00" }] };
    expect(said(was, { workingHours: [] })).toEqual(["Ada's Monday, Tuesday is now free, was 08:00–17:00"]);
    const later: FieldValues = { workingHours: [{ days: ["MO", "TU"], start: "09:00", end: "17:00" }] };
    expect(said(was, later)).toEqual(["Ada's Monday, Tuesday now starts 09:00, was 08:00"]);
  });

  it("tells of jobs that come, move and go", () => {
    const moved = { ...JOB, start: "2026-12-01T10:00:00Z", end: "2026-12-01T12:00:00Z" };
    expect(said({ jobs: { j: null } }, { jobs: { j: JOB } })).toEqual(["Ada has a new job: Boiler, 2026-12-01 09:00–11:00"]);
    expect(said({ jobs: { j: JOB } }, { jobs: { j: moved } })).toEqual([
      "Ada's job Boiler is now 2026-12-01 10:00–12:00, was 2026-12-01 09:00–11:00",
    ]);
    expect(said({ jobs: { j: JOB } }, { jobs: { j: null } })).toEqual(["Ada's job is gone: Boiler, 2026-12-01 09:00–11:00"]);
  });

  it("tells of days, absence and the rest", () => {
    const day = { date: "2026-12-24", windows: [{ start: "08:00", end: "12:00" }] };
    expect(said({ dateOverrides: { [day.date]: null } }, { dateOverrides: { [day.date]: day } })).toEqual([
      "Ada's 2026-12-24 alone: 08:00–12:00",
    ]);
    expect(said({ status: "active" }, { status: "onLeave" })).toEqual(["Ada is now On leave, was Active"]);
    expect(said({ skills: ["gas"] }, { skills: ["boiler"] })).toEqual(["Ada can now do boiler", "Ada no longer does gas"]);
    expect(sentences(changed(2, { truncated: true }), "Ada", writer(en))).toEqual(["Ada's schedule has changed"]);
  });
});

describe("the translation", () => {
  it("fills in what the English text fills in", () => {
    const names = (text: string): string[] => [...new Set([...text.matchAll(/\{(\w+)/g)].map((match) => match[1] ?? ""))].sort();
    for (const key of Object.keys(en) as Key[]) expect(names(de[key]), key).toEqual(names(en[key]));
  });

  it("takes the form that the number asks for", () => {
    expect(fill(en["row.conflicts"], { count: 1 }, "en")).toBe("1 conflict");
    expect(fill(en["row.conflicts"], { count: 3 }, "en")).toBe("3 conflicts");
  });
});
