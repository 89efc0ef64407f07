/** What a dispatcher does: shown at once, then confirmed, or taken back with the true reason. */
import { pause, Refusal, Unreachable } from "../api/http";
import type { Written } from "../api/services";
import type { Job, Schedule } from "../api/types";
import { minuteOf, type Span } from "../state/ranges";
import type { Entry } from "../state/roster";
import type { Board } from "./board.svelte";

/** One thing to do. */
export interface Act {
  /** In words, once it is done. */
  done: string;
  /** Whose schedules it changes, and how they look while the answer is awaited. */
  shown: Record<string, (schedule: Schedule) => Schedule>;
  /** Who is at `version` after it; the others' events bring theirs. */
  holder: string;
  send(): Promise<Written<unknown>>;
  /** May be sent again when nobody answered. */
  repeatable: boolean;
  /** What takes it back, as long as the schedule is still as this act left it. */
  undo?(written: Written<unknown>): Act;
}

/** Why an act did not happen. */
export type Trouble =
  | { kind: "taken"; title: string; span: Span; by: string | null; contractor: string }
  | { kind: "changed" }
  | { kind: "invalid"; errors: { pointer: string; detail: string }[]; detail: string }
  | { kind: "gone" }
  | { kind: "unreachable" }
  | { kind: "forbidden" }
  | { kind: "signedOut" }
  | { kind: "other"; detail: string };

interface Pending {
  shown: Act["shown"];
  /** Set with the answer: what is confirmed of each has this version at least. */
  until: Map<string, number> | null;
}

export interface Toast {
  key: number;
  text: string;
  undo: (() => void) | null;
  bad: boolean;
}

const ATTEMPTS = 4;
const AGAIN_MS = 400;
/** Events are faster; then the schedule is read. */
const CONFIRM_MS = 3_000;
const TOAST_MS = 12_000;

export class Acts {
  toasts: Toast[] = $state.raw([]);
  #pending: Pending[] = $state.raw([]);
  #count = 0;

  constructor(readonly board: Board) {}

  /** An entry with what is under way. */
  shown(id: string): Entry | undefined {
    const entry = this.board.rows.get(id);
    if (!entry?.schedule || this.#pending.length === 0) return entry;
    let { schedule } = entry;
    for (const pending of this.#pending) {
      const change = pending.shown[id];
      const confirmed = pending.until?.get(id);
      if (!change || (confirmed !== undefined && entry.schedule.version >= confirmed)) continue;
      schedule = change(schedule);
    }
    return schedule === entry.schedule ? entry : { ...entry, schedule };
  }

  /** Whether something of this contractor awaits its answer. */
  isPending(id: string): boolean {
    return this.#pending.some((pending) => id in pending.shown && pending.until === null);
  }

  /** Whether what is shown of this contractor is ahead of what the services have said. */
  isAhead(id: string): boolean {
    return this.shown(id) !== this.board.rows.get(id);
  }

  /** Does it; null where it is done. */
  async perform(act: Act, undoing: ((text: string) => string) | null): Promise<Trouble | null> {
    const pending: Pending = { shown: act.shown, until: null };
    this.#pending = [...this.#pending, pending];
    const before = new Map(Object.keys(act.shown).map((id) => [id, this.board.rows.get(id)?.schedule?.version ?? 0]));
    let written: Written<unknown>;
    try {
      written = await this.#send(act);
    } catch (error) {
      this.#drop(pending);
      for (const id of before.keys()) void this.board.refresh(id);
      return this.#trouble(error, act);
    }
    const until = new Map([...before].map(([id, version]) => [id, version + 1]));
    if (written.version !== null) until.set(act.holder, written.version);
    this.#replace(pending, { shown: act.shown, until });
    const { undo } = act;
    this.#toast(act.done, undo && undoing ? () => void this.#undo(undo(written), undoing) : null, false);
    setTimeout(() => {
      const late = [...until].filter(([id, version]) => (this.board.rows.get(id)?.schedule?.version ?? 0) < version);
      void Promise.all(late.map(([id]) => this.board.refresh(id))).then(() => this.#dropLike(act.shown));
    }, CONFIRM_MS);
    return null;
  }

  dismiss(key: number): void {
    this.toasts = this.toasts.filter((toast) => toast.key !== key);
  }

  /** Takes back the last thing that can be taken back, while it is still told of. */
  undoLast(): void {
    this.toasts.findLast((toast) => toast.undo)?.undo?.();
  }

  say(text: string, bad = false): void {
    this.#toast(text, null, bad);
  }

  async #undo(act: Act, undoing: (text: string) => string): Promise<void> {
    const trouble = await this.perform(act, null);
    if (trouble) this.#toast(undoing(act.done), null, true);
  }

  async #send(act: Act): Promise<Written<unknown>> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await act.send();
      } catch (error) {
        const passes = error instanceof Refusal ? error.passes : act.repeatable && error instanceof Unreachable;
        if (!passes || attempt >= ATTEMPTS) throw error;
        const asked = error instanceof Refusal ? error.retryAfter : null;
        await pause(asked ?? AGAIN_MS * 2 ** attempt);
      }
    }
  }

  async #trouble(error: unknown, act: Act): Promise<Trouble> {
    if (!(error instanceof Refusal)) return { kind: "unreachable" };
    const detail = error.message;
    switch (error.status) {
      case 401:
        return { kind: "signedOut" };
      case 403:
        return { kind: "forbidden" };
      case 404:
        return { kind: "gone" };
      case 409:
        return (await this.#taken(error.problem?.conflictingJobId, act.holder)) ?? { kind: "other", detail };
      case 412:
        return { kind: "changed" };
      case 422:
        return { kind: "invalid", errors: error.problem?.errors ?? [], detail };
      default:
        return error.passes ? { kind: "unreachable" } : { kind: "other", detail };
    }
  }

  /** Who has the slot: the job that is there, and who booked it. */
  async #taken(jobId: string | undefined, contractor: string): Promise<Trouble | null> {
    if (!jobId) return null;
    try {
      const job = await this.board.services.job(jobId);
      const span = { start: minuteOf(job.start), end: minuteOf(job.end) };
      return { kind: "taken", title: job.title, span, by: await this.#booker(contractor, job), contractor };
    } catch {
      return null;
    }
  }

  async #booker(contractor: string, job: Job): Promise<string | null> {
    const version = this.board.rows.get(contractor)?.schedule?.version ?? 0;
    try {
      const changes = await this.board.services.changes(contractor, Math.max(0, version - 50));
      return changes.findLast((change) => change.currentValues?.jobs?.[job.id])?.actor ?? null;
    } catch {
      return null;
    }
  }

  #toast(text: string, undo: (() => void) | null, bad: boolean): void {
    const key = ++this.#count;
    const act = undo && ((): void => {
      this.dismiss(key);
      undo();
    });
    this.toasts = [...this.toasts.slice(-3), { key, text, undo: act, bad }];
    setTimeout(() => this.dismiss(key), TOAST_MS);
  }

  #drop(pending: Pending): void {
    this.#pending = this.#pending.filter((other) => other !== pending);
  }

  #dropLike(shown: Act["shown"]): void {
    this.#pending = this.#pending.filter((other) => other.shown !== shown);
  }

  #replace(pending: Pending, by: Pending): void {
    this.#pending = this.#pending.map((other) => (other === pending ? by : other));
  }
}
