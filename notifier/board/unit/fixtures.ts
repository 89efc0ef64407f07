import type { Schedule, ScheduleUpdated } from "../src/api/types";

export const ADA: Schedule = {
  contractorId: "0192-ada",
  name: "Ada Byron",
  territory: "london-north",
  skills: ["boiler", "gas"],
  status: "active",
  timeZone: "Europe/London",
  workingHours: [{ days: ["MO", "TU", "WE", "TH", "FR"], start: "08:00", end: "17:00" }],
  dateOverrides: [],
  timeOff: [],
  jobs: [],
  bookingRules: { slotIntervalMinutes: 30, minNoticeMinutes: 0, bufferBeforeMinutes: 30, bufferAfterMinutes: 30 },
  version: 1,
  updatedAt: "2026-11-24T08:00:00.000Z",
};

/** A change of Ada's schedule. */
export function changed(version: number, values: Partial<ScheduleUpdated>): ScheduleUpdated {
  return {
    contractorId: ADA.contractorId,
    territory: ADA.territory,
    updatedFields: Object.keys(values.currentValues ?? {}).sort(),
    timestamp: "2026-11-24T09:00:00.000Z",
    version,
    actor: "grace",
    ...values,
  };
}
