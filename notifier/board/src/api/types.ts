/** What travels: the documents of the public interface, as they are written there. */

export type Weekday = "MO" | "TU" | "WE" | "TH" | "FR" | "SA" | "SU";
export type Status = "active" | "inactive" | "onLeave";

/** A window of the wall clock. `end` at or before `start` means the next day. */
export interface LocalWindow {
  start: string;
  end: string;
}

export interface WorkingHours extends LocalWindow {
  days: Weekday[];
}

export interface DateOverride {
  date: string;
  windows: LocalWindow[];
  reason?: string | null;
}

export interface TimeOff {
  id: string;
  start: string;
  end: string;
  reason?: string | null;
}

export interface Job {
  id: string;
  title: string;
  start: string;
  end: string;
  bufferBeforeMinutes: number;
  bufferAfterMinutes: number;
}

export interface BookingRules {
  slotIntervalMinutes: number;
  minNoticeMinutes: number;
  bufferBeforeMinutes: number;
  bufferAfterMinutes: number;
}

export interface Schedule {
  contractorId: string;
  name: string;
  territory: string;
  skills: string[];
  status: Status;
  timeZone: string;
  workingHours: WorkingHours[];
  dateOverrides: DateOverride[];
  timeOff: TimeOff[];
  jobs: Job[];
  bookingRules: BookingRules;
  version: number;
  updatedAt: string;
}

/** One side of a change: absent where the field did not change, null where it was not there. */
export interface FieldValues {
  name?: string | null;
  territory?: string | null;
  skills?: string[] | null;
  status?: Status | null;
  timeZone?: string | null;
  workingHours?: WorkingHours[] | null;
  bookingRules?: BookingRules | null;
  dateOverrides?: Record<string, DateOverride | null>;
  timeOff?: Record<string, TimeOff | null>;
  jobs?: Record<string, Job | null>;
}

/** The data of `schedule.updated`, and an item of the history. */
export interface ScheduleUpdated {
  contractorId: string;
  territory?: string;
  updatedFields: string[];
  previousValues?: FieldValues | null;
  currentValues?: FieldValues | null;
  timestamp: string;
  version: number;
  actor: string;
  truncated?: boolean | null;
}

export type ConflictReason = "contractorInactive" | "timeOff" | "outsideWorkingHours";

export interface Conflict {
  jobId: string;
  reason: ConflictReason;
}

/** The data of `availability.updated`. */
export interface AvailabilityUpdated {
  contractorId: string;
  territory: string;
  version: number;
  calculatedAt: string;
  horizon: { from: string; to: string };
  windowsEpochMinutes: [number, number][];
  conflicts: Conflict[];
}

/** What the read side answers about one contractor. */
export interface ContractorAvailability {
  contractorId: string;
  territory: string;
  timeZone: string;
  version: number;
  calculatedAt: string;
  from: string;
  to: string;
  windows: { start: string; end: string }[];
  slots?: string[] | null;
  conflicts: Conflict[];
}

/** Who can take a job, as the search answers. */
export interface AvailableContractor {
  contractorId: string;
  earliestStart: string;
  territory: string;
  timeZone: string;
  skills: string[];
  version: number;
}

export interface AvailableContractors {
  asOf: string;
  durationMinutes: number;
  from: string;
  to: string;
  items: AvailableContractor[];
  nextCursor?: string | null;
}

export interface JobDocument extends Job {
  contractorId: string;
}

export interface Session {
  subject: string;
  roles: string[];
  territories: string[];
  expiresAt: string | null;
}

export interface BoardSettings {
  scheduleServiceUrl: string;
  availabilityUrl: string;
  signIn: "automatic" | "token" | "none";
}

/** RFC 9457. */
export interface ProblemDocument {
  type: string;
  title: string;
  status: number;
  detail?: string | null;
  errors?: { pointer: string; detail: string }[];
  conflictingJobId?: string;
}
