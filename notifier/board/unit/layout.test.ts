import { describe, expect, it } from "vitest";
import { layout, type Block } from "../src/state/layout";
import { minuteOf, union, without, type Span } from "../src/state/ranges";
import type { Job, Schedule, TimeOff } from "../src/api/types";
import { ADA } from "./fixtures";

const at = (time: string): number => minuteOf(`2026-11-25T${time}:00Z`);
const DAY: Span = { start: at("00:00"), end: at("23:59") };

function job(start: string, end: string): Job {
  return { id: start, title: "Boiler service", start: `2026-11-25T${start}:00Z`, end: `2026-11-25T${end}:00Z`, bufferBeforeMinutes: 30, bufferAfterMinutes: 15 };
}

/** What is shown as free of a schedule while the read side still says: from 08:00 to 17:00. */
function free(schedule: Partial<Schedule>, now = "00:00"): [string, string][] {
  const window = { start: at("08:00"), end: at("17:00") };
  const availability = { version: 1, range: DAY, windows: [window], conflicts: [] };
  const all = { ...ADA, ...schedule };
  const shown = layout({ schedule: all, availability, waiting: [] }, all, DAY, at(now));
  const clock = (minute: number): string => new Date(minute * 60_000).toISOString().slice(11, 16);
  return shown.filter((block: Block) => block.kind === "free").map(({ span }) => [clock(span.start), clock(span.end)]);
}

describe("what is shown as free", () => {
  it("is what the read side says", () => {
    expect(free({})).toEqual([["08:00", "17:00"]]);
  });
  it("is never where a job has just been booked, nor in its buffers", () => {
    expect(free({ jobs: [job("08:00", "09:00"), job("12:00", "13:00")] })).toEqual([["09:15", "11:30"], ["13:15", "17:00"]]);
    expect(free({ jobs: [job("08:00", "17:00")] })).toEqual([]);
  });
  it("is never where time off has just been taken", () => {
    const timeOff: TimeOff[] = [{ id: "off", start: "2026-11-25T10:00:00Z", end: "2026-11-26T10:00:00Z" }];
    expect(free({ timeOff })).toEqual([["08:00", "10:00"]]);
  });
  it("is never in the past", () => {
    expect(free({ jobs: [job("12:00", "13:00")] }, "12:30")).toEqual([["13:15", "17:00"]]);
  });
});

describe("a span without others", () => {
  it("is what is left", () => {
    const taken = union([{ start: 0, end: 2 }, { start: 5, end: 7 }, { start: 6, end: 8 }, { start: 9, end: 20 }]);
    expect(without({ start: 1, end: 10 }, taken)).toEqual([{ start: 2, end: 5 }, { start: 8, end: 9 }]);
    expect(without({ start: 30, end: 40 }, taken)).toEqual([{ start: 30, end: 40 }]);
  });
});
