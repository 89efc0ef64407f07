import { untrack } from "svelte";
import type { ConflictReason, Job, Schedule } from "../api/types";
import type { Board } from "../app/board.svelte";
import type { Entry } from "../state/roster";

/** A job that its contractor's schedule no longer covers. */
export interface Stranded {
  job: Job;
  schedule: Schedule;
  reason: ConflictReason;
}

/** All of them, the soonest first; calculated again when it can be another answer, and not with every change. */
export function stranded(board: Board): Stranded[] {
  void board.conflicts;
  return untrack(() => among(board.rows.values()));
}

function among(entries: Iterable<Entry>): Stranded[] {
  const found: Stranded[] = [];
  for (const { schedule, availability } of entries) {
    for (const { jobId, reason } of availability?.conflicts ?? []) {
      const job = schedule?.jobs.find((other) => other.id === jobId);
      if (schedule && job) found.push({ job, schedule, reason });
    }
  }
  return found.sort((a, b) => (a.job.start < b.job.start ? -1 : 1));
}
