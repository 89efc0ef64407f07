/** What of the board is in view. */
import { untrack } from "svelte";
import type { Schedule } from "../api/types";
import { addDays, dateOf, dayOf, minuteAt } from "../state/civil";
import type { Minute, Span } from "../state/ranges";
import type { Entry } from "../state/roster";
import type { Trouble } from "./acts.svelte";
import type { Board } from "./board.svelte";
import { clock } from "./clock.svelte";
import { settings } from "./settings.svelte";

/** Somebody who can take a job, as the answer to a question shows on the timeline. */
export interface Offer {
  contractorId: string;
  start: Minute;
  minutes: number;
}

export type Panel = "ask" | "conflicts" | "changes";

/** What the dialog is about. */
export type Dialog =
  | { about: "booking"; contractorId: string; start: Minute; minutes: number; title?: string }
  | { about: "job"; contractorId: string; jobId: string; move?: { contractorId: string; start: Minute } }
  | { about: "contractor"; contractorId: string; date?: string }
  | { about: "help" };

export class View {
  readonly mine = Intl.DateTimeFormat().resolvedOptions().timeZone;
  date = $state(dateOf(this.mine, Math.floor(Date.now() / 60_000)));
  text = $state("");
  skill = $state("");
  panel: Panel = $state("ask");
  panelOpen = $state(true);
  dialog: Dialog | null = $state.raw(null);
  /** What was in the way of a drag; the dialog that opens with it says so. */
  trouble: Trouble | null = $state.raw(null);
  /** Answers that are shown on the timeline, and nobody else. */
  offers: Offer[] | null = $state.raw(null);
  /** A row to scroll to, as often as it is asked for. */
  reveal: { contractorId: string; count: number } | null = $state.raw(null);

  constructor(readonly board: Board) {}

  /** From the first to the last shown local midnight of the dispatcher. */
  readonly range: Span = $derived(dayOf(this.mine, this.date, settings.days));

  /** The range of one row: the same days, on the dispatcher's clock or on the contractor's. */
  rangeOf(schedule: Schedule): Span {
    return settings.zones === "mine" ? this.range : dayOf(schedule.timeZone, this.date, settings.days);
  }

  /** Whose clock times are written by. */
  zoneOf(schedule: Schedule): string {
    return settings.zones === "mine" ? this.mine : schedule.timeZone;
  }

  /** The contractors that are shown, in order. */
  readonly order: string[] = $derived.by(() => {
    void this.board.structure;
    if (this.offers) return this.offers.map((offer) => offer.contractorId).filter((id) => this.board.rows.has(id));
    const words = this.text.toLocaleLowerCase().split(/\s+/).filter(Boolean);
    const shown: Schedule[] = [];
    for (const schedule of schedules(this.board.rows)) {
      if (settings.territory && schedule.territory !== settings.territory) continue;
      if (this.skill && !schedule.skills.includes(this.skill)) continue;
      if (words.length > 0 && !matches(schedule, words)) continue;
      shown.push(schedule);
    }
    return shown.sort(byPlaceAndName).map((schedule) => schedule.contractorId);
  });

  /** All there are, for choosing from. */
  readonly territories: string[] = $derived.by(() => {
    void this.board.structure;
    return [...new Set(schedules(this.board.rows).map((schedule) => schedule.territory))].sort();
  });

  readonly skills: string[] = $derived.by(() => {
    void this.board.structure;
    return [...new Set(schedules(this.board.rows).flatMap((schedule) => schedule.skills))].sort();
  });

  /** Everybody, for a form that moves a job. */
  everybody(): Schedule[] {
    return schedules(this.board.rows).sort(byPlaceAndName);
  }

  step(days: number): void {
    this.date = addDays(this.date, days);
  }

  today(): void {
    this.date = dateOf(this.mine, clock.minute);
  }

  /** Shows somebody at a time. */
  goTo(contractorId: string, minute: Minute | null = null): void {
    if (minute !== null && (minute < this.range.start || minute >= this.range.end)) this.date = dateOf(this.mine, minute);
    if (!this.order.includes(contractorId)) {
      this.offers = null;
      this.text = "";
      this.skill = "";
      settings.territory = "";
    }
    this.reveal = { contractorId, count: (this.reveal?.count ?? 0) + 1 };
  }

  /** The next sensible start for a booking by hand. */
  defaultStart(schedule: Schedule): Minute {
    const nine = minuteAt(this.zoneOf(schedule), this.date, "09:00");
    return Math.max(nine, Math.ceil((clock.minute + 1) / 30) * 30);
  }
}

/** What `structure` does not tell of does not decide about the order, so no entry is depended on. */
function schedules(entries: ReadonlyMap<string, Entry>): Schedule[] {
  return untrack(() => [...entries.values()].flatMap(({ schedule }) => (schedule ? [schedule] : [])));
}

function matches(schedule: Schedule, words: string[]): boolean {
  const text = [schedule.name, schedule.territory, ...schedule.skills].join(" ").toLocaleLowerCase();
  return words.every((word) => text.includes(word));
}

function byPlaceAndName(a: Schedule, b: Schedule): number {
  return a.territory === b.territory ? a.name.localeCompare(b.name) : a.territory < b.territory ? -1 : 1;
}
