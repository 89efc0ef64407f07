/** One contractor's row: what stands where within the range that is shown. */
import type { ConflictReason, DateOverride, Job, Schedule, TimeOff } from "../api/types";
import type { Entry } from "./roster";
import { addDays, dateOf, dayOf, workingTime } from "./civil";
import { clipped, minuteOf, overlaps, union, without, type Minute, type Span } from "./ranges";

interface Placed {
  key: string;
  span: Span;
}

export type Block =
  | (Placed & { kind: "working" })
  | (Placed & { kind: "free"; fresh: boolean })
  | (Placed & { kind: "timeOff"; timeOff: TimeOff })
  | (Placed & { kind: "override"; override: DateOverride })
  | (Placed & { kind: "buffer" })
  | (Placed & { kind: "job"; job: Job; conflict: ConflictReason | null });

/** The blocks of a row, from the back to the front. */
export function layout(entry: Entry, schedule: Schedule, range: Span, now: Minute): Block[] {
  const blocks: Block[] = [];
  const add = <B extends Block>(block: B): void => {
    const span = clipped(block.span, range);
    if (span) blocks.push({ ...block, span });
  };
  for (const span of workingTime(schedule, range)) add({ kind: "working", key: `w${span.start}`, span });
  for (const override of overridesIn(schedule, range)) {
    add({ kind: "override", key: `o${override.date}`, override, span: dayOf(schedule.timeZone, override.date) });
  }
  const { availability } = entry;
  if (availability && schedule.status === "active") {
    const fresh = availability.version >= schedule.version;
    // Events tell of the whole horizon; what is over or too soon is nothing to offer.
    const since = now + schedule.bookingRules.minNoticeMinutes;
    // The read side follows a moment later, and what has just been booked is not free until then.
    const taken = union([...schedule.jobs.map(withBuffers), ...schedule.timeOff.map(spanOf)]);
    for (const window of availability.windows) {
      const ahead = clipped(window, { start: since, end: Number.POSITIVE_INFINITY });
      if (!ahead || !overlaps(ahead, range)) continue;
      for (const span of without(ahead, taken)) add({ kind: "free", key: `f${span.end}`, span, fresh });
    }
  }
  for (const timeOff of schedule.timeOff) {
    add({ kind: "timeOff", key: `t${timeOff.id}`, timeOff, span: spanOf(timeOff) });
  }
  for (const job of schedule.jobs) {
    add({ kind: "buffer", key: `b${job.id}`, span: withBuffers(job) });
    const conflict = availability?.conflicts.find((stranded) => stranded.jobId === job.id)?.reason ?? null;
    add({ kind: "job", key: `j${job.id}`, job, conflict, span: spanOf(job) });
  }
  return blocks;
}

export function spanOf(item: { start: string; end: string }): Span {
  return { start: minuteOf(item.start), end: minuteOf(item.end) };
}

function withBuffers(job: Job): Span {
  const { start, end } = spanOf(job);
  return { start: start - job.bufferBeforeMinutes, end: end + job.bufferAfterMinutes };
}

function overridesIn(schedule: Schedule, range: Span): DateOverride[] {
  if (schedule.dateOverrides.length === 0) return [];
  const first = dateOf(schedule.timeZone, range.start);
  const last = addDays(dateOf(schedule.timeZone, range.end - 1), 1);
  return schedule.dateOverrides.filter((day) => day.date >= first && day.date < last);
}

/** Where a minute stands, in percent of the range. */
export function percent(minute: Minute, range: Span): number {
  return ((minute - range.start) / (range.end - range.start)) * 100;
}
