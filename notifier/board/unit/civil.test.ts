import { describe, expect, it } from "vitest";
import { addDays, dayOf, weekdayOf, windowSpan, workingTime } from "../src/state/civil";
import { instantOf, minuteOf } from "../src/state/ranges";
import { ADA } from "./fixtures";

function span(zone: string, date: string, start: string, end: string): string {
  const found = windowSpan(zone, date, { start, end });
  return found ? `${instantOf(found.start)}/${instantOf(found.end)}` : "none";
}

describe("the wall clock", () => {
  it("takes a time that does not exist with the offset before the gap", () => {
    expect(span("Europe/London", "2026-03-29", "01:30", "09:00")).toBe("2026-03-29T01:30:00Z/2026-03-29T08:00:00Z");
    expect(span("Europe/London", "2026-03-29", "01:15", "01:45")).toBe("none");
    expect(span("America/Santiago", "2026-09-06", "00:00", "08:00")).toBe("2026-09-06T04:00:00Z/2026-09-06T11:00:00Z");
  });

  it("takes the first of two for a start and the second for an end", () => {
    expect(span("Europe/London", "2026-10-25", "01:30", "01:45")).toBe("2026-10-25T00:30:00Z/2026-10-25T01:45:00Z");
  });

  it("runs past midnight where the end is not after the start, and to 24:00", () => {
    expect(span("Europe/London", "2026-12-01", "22:00", "06:00")).toBe("2026-12-01T22:00:00Z/2026-12-02T06:00:00Z");
    expect(span("Europe/London", "2026-12-01", "22:00", "24:00")).toBe("2026-12-01T22:00:00Z/2026-12-02T00:00:00Z");
  });

  it("keeps the tail of the night before, whatever replaces the day", () => {
    const night = { ...ADA, workingHours: [{ days: ["MO" as const], start: "22:00", end: "06:00" }] };
    const off = { ...night, dateOverrides: [{ date: "2026-12-01", windows: [] }] };
    expect(workingTime(off, dayOf("Europe/London", "2026-12-01"))).toEqual([
      { start: minuteOf("2026-12-01T00:00:00Z"), end: minuteOf("2026-12-01T06:00:00Z") },
    ]);
  });

  it("counts days by the calendar", () => {
    expect(addDays("2026-02-28", 1)).toBe("2026-03-01");
    expect(weekdayOf("2026-11-24")).toBe("TU");
    const long = dayOf("Europe/London", "2026-10-25");
    expect(long.end - long.start).toBe(25 * 60);
  });
});
