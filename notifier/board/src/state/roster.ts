/**
 * What the board knows of each contractor, put together from the snapshot, single reads and events.
 *
 * They may come in any order and twice: the highest version wins, an event applies to the version just
 * before it, and what comes too early waits until the gap is read. Nothing here knows of a server.
 */
import type {
  AvailabilityUpdated,
  Conflict,
  ContractorAvailability,
  FieldValues,
  Schedule,
  ScheduleUpdated,
} from "../api/types";
import { minuteOf, type Span } from "./ranges";

/** Free time and conflicts, as the read side calculated them from one version. */
export interface Availability {
  version: number;
  /** What the windows cover. */
  range: Span;
  windows: Span[];
  conflicts: Conflict[];
}

export interface Entry {
  schedule: Schedule | null;
  availability: Availability | null;
  /** Changes that came before the version that they apply to, by version. */
  waiting: ScheduleUpdated[];
}

const NOTHING: Entry = { schedule: null, availability: null, waiting: [] };

export class Roster {
  readonly entries = new Map<string, Entry>();

  entry(id: string): Entry {
    return this.entries.get(id) ?? NOTHING;
  }

  /** Takes a schedule that was read. */
  put(schedule: Schedule): void {
    const entry = this.entry(schedule.contractorId);
    if (entry.schedule && entry.schedule.version > schedule.version) return;
    this.#set(schedule.contractorId, { ...entry, schedule: inOrder(schedule) });
  }

  /** Takes a `schedule.updated`. */
  update(event: ScheduleUpdated): void {
    const entry = this.entry(event.contractorId);
    if (event.version <= (entry.schedule?.version ?? 0)) return;
    if (entry.waiting.some((other) => other.version === event.version)) return;
    const waiting = [...entry.waiting, event].sort((a, b) => a.version - b.version);
    this.#set(event.contractorId, { ...entry, waiting });
  }

  /** Takes an `availability.updated`. */
  updateAvailability(event: AvailabilityUpdated): void {
    this.#putAvailability(event.contractorId, {
      version: event.version,
      range: { start: minuteOf(event.horizon.from), end: minuteOf(event.horizon.to) },
      windows: event.windowsEpochMinutes.map(([start, end]) => ({ start, end })),
      conflicts: event.conflicts,
    });
  }

  /** Takes an answer of the read side. */
  readAvailability(answer: ContractorAvailability): void {
    this.#putAvailability(answer.contractorId, {
      version: answer.version,
      range: { start: minuteOf(answer.from), end: minuteOf(answer.to) },
      windows: answer.windows.map(({ start, end }) => ({ start: minuteOf(start), end: minuteOf(end) })),
      conflicts: answer.conflicts,
    });
  }

  remove(id: string): void {
    this.entries.delete(id);
  }

  /** Whether the schedule of this contractor has to be read, since changes before the known ones are missing. */
  isBehind(id: string): boolean {
    return this.entry(id).waiting.length > 0;
  }

  #putAvailability(id: string, availability: Availability): void {
    const entry = this.entry(id);
    const known = entry.availability;
    if (known && known.version > availability.version) return;
    // Of the same version, the wider one is worth keeping.
    if (known && known.version === availability.version && covers(known.range, availability.range)) return;
    this.#set(id, { ...entry, availability });
  }

  #set(id: string, entry: Entry): void {
    this.entries.set(id, settle(entry));
  }
}

function covers(outer: Span, inner: Span): boolean {
  return outer.start <= inner.start && inner.end <= outer.end;
}

/** Applies the changes that have become applicable and forgets those that are known already. */
function settle(entry: Entry): Entry {
  let { schedule } = entry;
  const waiting: ScheduleUpdated[] = [];
  for (const event of entry.waiting) {
    const version = schedule?.version ?? 0;
    if (event.version <= version) continue;
    const next = event.version === version + 1 && waiting.length === 0 ? applied(schedule, event) : null;
    if (next) schedule = next;
    else waiting.push(event);
  }
  return { ...entry, schedule, waiting };
}

/** The schedule after the change; null where the event does not say enough. */
export function applied(before: Schedule | null, event: ScheduleUpdated): Schedule | null {
  const now = event.currentValues;
  if (!now || event.truncated) return null;
  const base = before ?? created(event, now);
  if (!base) return null;
  return inOrder({
    ...base,
    name: now.name ?? base.name,
    territory: now.territory ?? base.territory,
    skills: now.skills ?? base.skills,
    status: now.status ?? base.status,
    timeZone: now.timeZone ?? base.timeZone,
    workingHours: now.workingHours ?? base.workingHours,
    bookingRules: now.bookingRules ?? base.bookingRules,
    jobs: merged(base.jobs, now.jobs, (job) => job.id),
    timeOff: merged(base.timeOff, now.timeOff, (timeOff) => timeOff.id),
    dateOverrides: merged(base.dateOverrides, now.dateOverrides, (day) => day.date),
    version: event.version,
    updatedAt: event.timestamp,
  });
}

/** The first version says everything, so it needs none before it. */
function created(event: ScheduleUpdated, now: FieldValues): Schedule | null {
  const { name, territory, skills, status, timeZone, workingHours, bookingRules } = now;
  if (!name || !territory || !skills || !status || !timeZone || !workingHours || !bookingRules) return null;
  return {
    contractorId: event.contractorId,
    ...{ name, territory, skills, status, timeZone, workingHours, bookingRules },
    ...{ jobs: [], timeOff: [], dateOverrides: [] },
    version: 0,
    updatedAt: event.timestamp,
  };
}

function merged<T>(before: T[], changes: Record<string, T | null> | undefined, key: (entry: T) => string): T[] {
  if (!changes) return before;
  const kept = before.filter((entry) => !(key(entry) in changes));
  return [...kept, ...Object.values(changes).filter((entry) => entry !== null)];
}

function inOrder(schedule: Schedule): Schedule {
  const byStart = (a: { start: string; id: string }, b: { start: string; id: string }): number =>
    a.start < b.start ? -1 : a.start > b.start ? 1 : a.id < b.id ? -1 : 1;
  return {
    ...schedule,
    jobs: [...schedule.jobs].sort(byStart),
    timeOff: [...schedule.timeOff].sort(byStart),
    dateOverrides: [...schedule.dateOverrides].sort((a, b) => (a.date < b.date ? -1 : 1)),
  };
}
