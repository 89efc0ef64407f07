/** Each thing that a dispatcher can do, with how it looks meanwhile and what takes it back. */
import type { JobTerms, Services, Written } from "../api/services";
import type { DateOverride, Job, JobDocument, LocalWindow, Schedule, TimeOff } from "../api/types";
import type { Act } from "./acts.svelte";
import { t } from "./texts.svelte";

const replaced = <T>(all: T[], is: (entry: T) => boolean, by: T | null): T[] => {
  const kept = all.filter((entry) => !is(entry));
  return by === null ? kept : [...kept, by];
};

const withJob = (job: Job) => (schedule: Schedule): Schedule => ({
  ...schedule,
  jobs: replaced(schedule.jobs, (other) => other.id === job.id, job),
});

const withoutJob = (id: string) => (schedule: Schedule): Schedule => ({
  ...schedule,
  jobs: schedule.jobs.filter((job) => job.id !== id),
});

export function book(services: Services, to: Schedule, terms: JobTerms): Act {
  const key = crypto.randomUUID();
  const { bufferBeforeMinutes, bufferAfterMinutes } = to.bookingRules;
  const job: Job = { bufferBeforeMinutes, bufferAfterMinutes, ...terms, id: `new ${key}` };
  return {
    done: t("done.booked", { name: to.name, title: terms.title }),
    shown: { [to.contractorId]: withJob(job) },
    holder: to.contractorId,
    repeatable: true,
    send: () => services.book(to.contractorId, terms, key),
    undo: (written) => cancel(services, to, (written as Written<JobDocument>).document, written.version),
  };
}

export function cancel(services: Services, from: Schedule, job: Job, version: number | null): Act {
  const { title, start, end, bufferBeforeMinutes, bufferAfterMinutes } = job;
  return {
    done: t("done.cancelled", { name: from.name, title }),
    shown: { [from.contractorId]: withoutJob(job.id) },
    holder: from.contractorId,
    repeatable: false,
    send: () => services.cancel(job.id, version),
    undo: () => book(services, from, { title, start, end, bufferBeforeMinutes, bufferAfterMinutes }),
  };
}

/** Changes a job, or moves it to another contractor. `version` is of the schedule that holds it. */
export function change(services: Services, from: Schedule, to: Schedule, job: Job, terms: JobTerms, version: number | null): Act {
  const after: Job = { ...job, ...terms };
  const moves = from.contractorId !== to.contractorId;
  const patch = moves ? { ...terms, contractorId: to.contractorId } : terms;
  const { title, start, end, bufferBeforeMinutes, bufferAfterMinutes } = job;
  return {
    done: t("done.moved", { name: to.name, title: after.title }),
    shown: moves
      ? { [from.contractorId]: withoutJob(job.id), [to.contractorId]: withJob(after) }
      : { [to.contractorId]: withJob(after) },
    holder: to.contractorId,
    repeatable: true,
    send: () => services.changeJob(job.id, patch, version),
    undo: (written) =>
      change(services, to, from, after, { title, start, end, bufferBeforeMinutes, bufferAfterMinutes }, written.version),
  };
}

export function addTimeOff(services: Services, of: Schedule, span: { start: string; end: string; reason?: string }): Act {
  const key = crypto.randomUUID();
  const shown: TimeOff = { ...span, id: `new ${key}` };
  return {
    done: t("done.off", { name: of.name }),
    shown: { [of.contractorId]: (schedule) => ({ ...schedule, timeOff: [...schedule.timeOff, shown] }) },
    holder: of.contractorId,
    repeatable: true,
    send: () => services.addTimeOff(of.contractorId, span, key),
    undo: (written) => removeTimeOff(services, of, (written as Written<TimeOff>).document, written.version),
  };
}

export function removeTimeOff(services: Services, of: Schedule, timeOff: TimeOff, version: number | null): Act {
  const { id, start, end, reason } = timeOff;
  return {
    done: t("done.back", { name: of.name }),
    shown: {
      [of.contractorId]: (schedule) => ({ ...schedule, timeOff: schedule.timeOff.filter((other) => other.id !== id) }),
    },
    holder: of.contractorId,
    repeatable: false,
    send: () => services.removeTimeOff(of.contractorId, id, version),
    undo: () => addTimeOff(services, of, { start, end, ...(reason ? { reason } : {}) }),
  };
}

/** A day of its own; null for the usual hours again. */
export function setDay(
  services: Services,
  of: Schedule,
  date: string,
  day: { windows: LocalWindow[]; reason?: string } | null,
  version: number,
): Act {
  const was = of.dateOverrides.find((other) => other.date === date) ?? null;
  const is: DateOverride | null = day && { date, ...day };
  return {
    done: t("done.day", { name: of.name }),
    shown: {
      [of.contractorId]: (schedule) => ({
        ...schedule,
        dateOverrides: replaced(schedule.dateOverrides, (other) => other.date === date, is),
      }),
    },
    holder: of.contractorId,
    repeatable: false,
    send: () =>
      day
        ? services.putOverride(of.contractorId, date, day, version)
        : services.removeOverride(of.contractorId, date, version),
    undo: (written) => {
      const back = was && { windows: was.windows, ...(was.reason ? { reason: was.reason } : {}) };
      return setDay(services, { ...of, dateOverrides: is ? [is] : [] }, date, back, written.version ?? version + 1);
    },
  };
}

/** Weekly hours, status and the like. */
export function edit(services: Services, of: Schedule, patch: Partial<Schedule>, version: number): Act {
  const before = Object.fromEntries(Object.keys(patch).map((key) => [key, of[key as keyof Schedule]]));
  return {
    done: t("done.edited", { name: of.name }),
    shown: { [of.contractorId]: (schedule) => ({ ...schedule, ...patch }) },
    holder: of.contractorId,
    repeatable: false,
    send: () => services.patchSchedule(of.contractorId, patch, version),
    undo: (written) => edit(services, { ...of, ...patch }, before as Partial<Schedule>, written.version ?? version + 1),
  };
}
