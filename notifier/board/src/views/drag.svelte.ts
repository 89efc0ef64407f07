/** Dragging on the timeline: a job to another time or person, or a stretch of free time to book it. */
import type { Job } from "../api/types";
import { minuteOf, type Minute, type Span } from "../state/ranges";

export interface Ghost {
  contractorId: string;
  span: Span;
  jobId: string | null;
}

interface Pressed {
  contractorId: string;
  job: Job | null;
  /** Of the pointer. */
  at: Minute;
  x: number;
  y: number;
}

/** What the timeline knows of where things are. */
export interface Ground {
  range(contractorId: string): Span | null;
  moved(job: Job, from: string, to: string, start: Minute): void;
  drawn(contractorId: string, span: Span): void;
}

/** Every zone's offset is a multiple of it. */
export const STEP = 15;
/** A press that moves less is a click. */
const SLOP = 5;

export class Drag {
  ghost: Ghost | null = $state.raw(null);
  #pressed: Pressed | null = null;
  #moved = false;
  #carriedJob: { job: Job; from: string } | null = $state.raw(null);

  constructor(readonly ground: Ground) {}

  press(event: PointerEvent, contractorId: string, job: Job | null): void {
    // Fingers scroll; they have the forms.
    if (event.button !== 0 || this.#carriedJob || event.pointerType === "touch" || job?.id.startsWith("new ")) return;
    event.stopPropagation();
    const at = this.#minute(event, contractorId);
    if (at === null) return;
    this.#pressed = { contractorId, job, at, x: event.clientX, y: event.clientY };
    this.#moved = false;
    addEventListener("pointermove", this.#move);
    addEventListener("pointerup", this.#release);
    addEventListener("pointercancel", this.#end);
    addEventListener("keydown", this.#key);
  }

  /** Whether the click that follows a drag is a part of it. */
  swallowClick(): boolean {
    const moved = this.#moved;
    this.#moved = false;
    return moved;
  }

  /** What the keys carry; a pointer carries nothing then. */
  get carried(): Ghost | null {
    return this.#carriedJob && this.ghost;
  }

  /** Takes a job up by the keys. */
  carry(job: Job, contractorId: string): void {
    if (job.id.startsWith("new ") || this.#pressed) return;
    this.#carriedJob = { job, from: contractorId };
    this.ghost = { contractorId, jobId: job.id, span: { start: minuteOf(job.start), end: minuteOf(job.end) } };
  }

  /** To another time. */
  shift(minutes: number): void {
    if (!this.ghost) return;
    const { start, end } = this.ghost.span;
    const to = round(start + minutes);
    this.ghost = { ...this.ghost, span: { start: to, end: to + end - start } };
  }

  /** To another contractor. */
  give(contractorId: string): void {
    if (this.ghost) this.ghost = { ...this.ghost, contractorId };
  }

  /** Puts it down where it is, or back; returns whose it is then. */
  dropCarried(moved: boolean): string | null {
    const [carried, ghost] = [this.#carriedJob, this.ghost];
    this.#carriedJob = null;
    this.ghost = null;
    if (!carried || !ghost) return null;
    if (!moved) return carried.from;
    this.ground.moved(carried.job, carried.from, ghost.contractorId, ghost.span.start);
    return ghost.contractorId;
  }

  readonly #move = (event: PointerEvent): void => {
    const pressed = this.#pressed;
    if (!pressed) return;
    if (!this.#moved && Math.hypot(event.clientX - pressed.x, event.clientY - pressed.y) < SLOP) return;
    this.#moved = true;
    this.ghost = pressed.job ? this.#movedJob(event, pressed, pressed.job) : this.#drawn(event, pressed);
  };

  #movedJob(event: PointerEvent, pressed: Pressed, job: Job): Ghost | null {
    const over = document.elementFromPoint(event.clientX, event.clientY)?.closest<HTMLElement>("[data-track]");
    const contractorId = over?.dataset["track"] ?? pressed.contractorId;
    const at = this.#minute(event, contractorId);
    if (at === null) return null;
    const [start, end] = [minuteOf(job.start), minuteOf(job.end)];
    const moved = round(start + at - pressed.at);
    return { contractorId, jobId: job.id, span: { start: moved, end: moved + end - start } };
  }

  #drawn(event: PointerEvent, pressed: Pressed): Ghost | null {
    const at = this.#minute(event, pressed.contractorId);
    if (at === null) return null;
    const [start, end] = [round(Math.min(at, pressed.at)), round(Math.max(at, pressed.at))];
    return { contractorId: pressed.contractorId, jobId: null, span: { start, end: Math.max(end, start + STEP) } };
  }

  readonly #release = (): void => {
    const { ghost } = this;
    const pressed = this.#pressed;
    this.#end();
    if (!ghost || !pressed) return;
    // Where no click follows, the next one is not swallowed.
    setTimeout(() => (this.#moved = false));
    if (pressed.job) this.ground.moved(pressed.job, pressed.contractorId, ghost.contractorId, ghost.span.start);
    else this.ground.drawn(ghost.contractorId, ghost.span);
  };

  readonly #key = (event: KeyboardEvent): void => {
    if (event.key === "Escape") this.#end();
  };

  readonly #end = (): void => {
    this.ghost = null;
    this.#pressed = null;
    removeEventListener("pointermove", this.#move);
    removeEventListener("pointerup", this.#release);
    removeEventListener("pointercancel", this.#end);
    removeEventListener("keydown", this.#key);
  };

  #minute(event: PointerEvent, contractorId: string): Minute | null {
    const range = this.ground.range(contractorId);
    const track = document.querySelector(`[data-track="${contractorId}"]`)?.getBoundingClientRect();
    if (!range || !track) return null;
    const share = (event.clientX - track.left) / track.width;
    return range.start + share * (range.end - range.start);
  }
}

function round(minute: Minute): Minute {
  return Math.round(minute / STEP) * STEP;
}

