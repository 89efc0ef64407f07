/** The routes that the board uses, one function each. */
import { instantOf, type Span } from "../state/ranges";
import { read, send, versionOf, type Sent } from "./http";
import type {
  AvailableContractors,
  BoardSettings,
  ContractorAvailability,
  JobDocument,
  LocalWindow,
  Schedule,
  ScheduleUpdated,
  Session,
  TimeOff,
} from "./types";

/** What a write answered: the new version of the schedule, and the document where there is one. */
export interface Written<T = null> {
  version: number | null;
  document: T;
}

export interface JobTerms {
  title: string;
  start: string;
  end: string;
  bufferBeforeMinutes?: number;
  bufferAfterMinutes?: number;
}

export interface SearchTerms {
  range: Span;
  durationMinutes: number;
  territory: string;
  skills: string[];
  limit: number;
}

/** Pages of the snapshot: small enough that the first rows show early. */
const SNAPSHOT_PAGE = 500;

export class Services {
  constructor(readonly settings: BoardSettings) {}

  session(): Promise<Session> {
    return read("/v1/session");
  }

  async signInWith(token: string): Promise<void> {
    await send("/v1/session", { method: "POST", body: { token } });
  }

  async signOut(): Promise<void> {
    await send("/v1/session", { method: "DELETE" });
  }

  /** Every schedule, as it comes in. */
  async *schedules(signal: AbortSignal): AsyncGenerator<Schedule> {
    for (let after = ""; ; ) {
      const page = `/schedules?limit=${SNAPSHOT_PAGE}${after && `&after=${after}`}`;
      const response = await send(this.#write(page), { signal });
      let count = 0;
      for await (const line of lines(response)) {
        const schedule = JSON.parse(line) as Schedule;
        after = schedule.contractorId;
        count += 1;
        yield schedule;
      }
      if (count < SNAPSHOT_PAGE) return;
    }
  }

  schedule(id: string): Promise<Schedule> {
    return read(this.#write(`/contractors/${id}/schedule`));
  }

  job(id: string): Promise<JobDocument> {
    return read(this.#write(`/jobs/${id}`));
  }

  async changes(id: string, after: number): Promise<ScheduleUpdated[]> {
    const page = await read<{ items: ScheduleUpdated[] }>(this.#write(`/contractors/${id}/changes?after=${after}&limit=200`));
    return page.items;
  }

  availability(id: string, range: Span, durationMinutes?: number, signal?: AbortSignal): Promise<ContractorAvailability> {
    const query = new URLSearchParams({ from: instantOf(range.start), to: instantOf(range.end) });
    if (durationMinutes) query.set("durationMinutes", String(durationMinutes));
    return read(`${this.settings.availabilityUrl}/v1/availability/${id}?${query}`, signal ? { signal } : {});
  }

  search({ range, durationMinutes, territory, skills, limit }: SearchTerms): Promise<AvailableContractors> {
    const query = new URLSearchParams({
      from: instantOf(range.start),
      to: instantOf(range.end),
      durationMinutes: String(durationMinutes),
      limit: String(limit),
    });
    if (territory) query.set("territory", territory);
    if (skills.length > 0) query.set("skills", skills.join(","));
    return read(`${this.settings.availabilityUrl}/v1/availability?${query}`);
  }

  /** Books a job. The same `key` again answers the first answer again. */
  book(id: string, job: JobTerms, key: string): Promise<Written<JobDocument>> {
    return this.#document(`/contractors/${id}/jobs`, { method: "POST", body: job, headers: { "idempotency-key": key } });
  }

  /** Moves or changes a job; `version` is of the schedule that holds it. */
  changeJob(id: string, patch: Partial<JobTerms> & { contractorId?: string }, version: number | null): Promise<Written<JobDocument>> {
    return this.#document(`/jobs/${id}`, { method: "PATCH", body: patch, headers: match(version) });
  }

  cancel(id: string, version: number | null): Promise<Written> {
    return this.#silent(`/jobs/${id}`, { method: "DELETE", headers: match(version) });
  }

  addTimeOff(id: string, timeOff: { start: string; end: string; reason?: string }, key: string): Promise<Written<TimeOff>> {
    return this.#document(`/contractors/${id}/time-off`, { method: "POST", body: timeOff, headers: { "idempotency-key": key } });
  }

  removeTimeOff(id: string, timeOffId: string, version: number | null): Promise<Written> {
    return this.#silent(`/contractors/${id}/time-off/${timeOffId}`, { method: "DELETE", headers: match(version) });
  }

  putOverride(id: string, date: string, day: { windows: LocalWindow[]; reason?: string }, version: number): Promise<Written> {
    return this.#silent(`/contractors/${id}/date-overrides/${date}`, { method: "PUT", body: day, headers: match(version) });
  }

  removeOverride(id: string, date: string, version: number | null): Promise<Written> {
    return this.#silent(`/contractors/${id}/date-overrides/${date}`, { method: "DELETE", headers: match(version) });
  }

  patchSchedule(id: string, patch: Partial<Schedule>, version: number): Promise<Written> {
    return this.#silent(`/contractors/${id}/schedule`, { method: "PATCH", body: patch, headers: match(version) });
  }

  async #document<T>(path: string, sent: Sent): Promise<Written<T>> {
    const response = await send(this.#write(path), sent);
    return { version: versionOf(response), document: (await response.json()) as T };
  }

  async #silent(path: string, sent: Sent): Promise<Written> {
    return { version: versionOf(await send(this.#write(path), sent)), document: null };
  }

  #write(path: string): string {
    return `${this.settings.scheduleServiceUrl}/v1${path}`;
  }
}

function match(version: number | null): Record<string, string> {
  return version === null ? {} : { "if-match": `"${version}"` };
}

/** The lines of NDJSON, as they come in. */
async function* lines(response: Response): AsyncGenerator<string> {
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  if (!reader) return;
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    const parts = (rest + value).split("\n");
    rest = parts.pop() ?? "";
    for (const line of parts) if (line) yield line;
  }
  if (rest) yield rest;
}
