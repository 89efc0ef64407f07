/** What the board shows, kept current by the stream. */
import { SvelteMap } from "svelte/reactivity";
import { pause, Refusal } from "../api/http";
import type { Services } from "../api/services";
import type { Schedule, ScheduleUpdated, Session } from "../api/types";
import type { Link, Told } from "../live/messages";
import { Roster, type Entry } from "../state/roster";
import { clock } from "./clock.svelte";

/** How current the board is. */
export type Phase = "connecting" | "loading" | "live" | "catchingUp" | "reset" | "reconnecting" | "signedOut";

/** A change as the feed keeps it. */
export interface News {
  key: string;
  event: ScheduleUpdated;
  /** As the contractor was called before. */
  name: string;
  zone: string;
}

const MOST_NEWS = 200;
/** After resuming, so long without an event means that there is nothing more to catch up on. */
const QUIET_MS = 400;
const RETRY_MS = 1_000;
const MOST_RETRY_MS = 10_000;

export class Board {
  /** What is confirmed, by contractor. */
  readonly rows = new SvelteMap<string, Entry>();
  /** Grows when somebody comes, goes, or is called, placed or skilled differently. */
  structure = $state(0);
  /** Grows when something changes about somebody who has conflicts, or had. */
  conflicts = $state(0);
  link: Link = $state.raw({ state: "connecting" });
  news: News[] = $state.raw([]);
  lastEvent: number | null = $state(null);
  lastSign: number | null = $state(null);
  /** Who reads this. */
  session: Session | null = $state.raw(null);
  #snapshot: "none" | "first" | "again" | "done" = $state("none");
  #catchingUp = $state(false);
  #wasOpen = $state(false);
  #roster = new Roster();
  #loading: AbortController | null = null;
  #quiet: ReturnType<typeof setTimeout> | undefined;
  readonly #reading = new Set<string>();

  constructor(readonly services: Services) {}

  readonly phase: Phase = $derived.by(() => {
    if (this.link.state === "signedOut") return "signedOut";
    if (this.link.state !== "open") return this.#wasOpen ? "reconnecting" : "connecting";
    if (this.#snapshot === "again") return "reset";
    if (this.#snapshot !== "done") return "loading";
    return this.#catchingUp ? "catchingUp" : "live";
  });

  /** Whether this caller may change anything. */
  readonly canWrite: boolean = $derived(this.session?.roles.some((role) => role === "admin" || role === "dispatcher") ?? false);

  /** Whether what is shown may be out of date. */
  readonly stale: boolean = $derived(this.phase !== "live" && this.phase !== "loading");

  readonly take = (told: Told): void => {
    switch (told.tell) {
      case "link":
        this.#linked(told.link);
        break;
      case "alive":
        this.lastSign = told.at;
        break;
      case "reset":
        this.#read("again");
        break;
      case "schedule":
        this.#schedule(told.data);
        break;
      case "availability":
        this.#happened(told.data.calculatedAt);
        this.#roster.updateAvailability(told.data);
        this.#show(told.data.contractorId);
        break;
    }
  };

  /** Takes a schedule that was read for another reason. */
  put(schedule: Schedule): void {
    this.#roster.put(schedule);
    this.#show(schedule.contractorId);
  }

  get roster(): Roster {
    return this.#roster;
  }

  /** Shows what the roster has of somebody. */
  show(id: string): void {
    this.#show(id);
  }

  /** Reads one schedule again; who is not there any more for this caller goes. */
  async refresh(id: string): Promise<void> {
    if (this.#reading.has(id)) return;
    this.#reading.add(id);
    const roster = this.#roster;
    try {
      const schedule = await this.services.schedule(id);
      if (roster === this.#roster) this.put(schedule);
    } catch (error) {
      if (error instanceof Refusal && error.status === 404 && roster === this.#roster) this.#gone(id);
    } finally {
      this.#reading.delete(id);
    }
    // More may have come meanwhile, or nobody has answered.
    if (this.#roster.isBehind(id)) {
      await pause(RETRY_MS);
      void this.refresh(id);
    }
  }

  #linked(link: Link): void {
    this.link = link;
    if (link.state === "open") {
      this.#wasOpen = true;
      this.#catchingUp = link.resumed;
      this.#awaitQuiet();
      if (this.#snapshot === "none") this.#read("first");
    }
  }

  #schedule(event: ScheduleUpdated): void {
    this.#happened(event.timestamp);
    const { contractorId: id } = event;
    const known = this.#roster.entry(id).schedule;
    if (known && event.version <= known.version) return;
    const before = known ?? this.rows.get(id)?.schedule ?? null;
    if (event.territory !== undefined && !this.#sees(event.territory)) {
      this.#tell(event, before);
      this.#gone(id);
      return;
    }
    this.#roster.update(event);
    this.#tell(event, before);
    this.#show(id);
    // A snapshot that is on its way closes the gap.
    if (this.#roster.isBehind(id) && this.#snapshot === "done") void this.refresh(id);
  }

  #sees(territory: string): boolean {
    const all = this.session?.territories ?? ["*"];
    return all.includes("*") || all.includes(territory);
  }

  #tell(event: ScheduleUpdated, before: Schedule | null): void {
    const key = `${event.contractorId} ${event.version}`;
    if (this.news.some((item) => item.key === key)) return;
    const name = before?.name ?? event.currentValues?.name ?? "…";
    const zone = before?.timeZone ?? event.currentValues?.timeZone ?? "UTC";
    this.news = [{ key, event, name, zone }, ...this.news].slice(0, MOST_NEWS);
  }

  #happened(at: string): void {
    this.lastEvent = clock.now();
    if (!this.#catchingUp) return;
    // On a busy roster it is never quiet: what is newer than the stream is no replay.
    if (this.link.state === "open" && Date.parse(at) >= this.link.ready) this.#catchingUp = false;
    else this.#awaitQuiet();
  }

  #awaitQuiet(): void {
    clearTimeout(this.#quiet);
    this.#quiet = setTimeout(() => (this.#catchingUp = false), QUIET_MS);
  }

  #show(id: string): void {
    const entry = this.#roster.entry(id);
    const shown = this.rows.get(id);
    if (entry === shown || !entry.schedule) return;
    this.rows.set(id, entry);
    if (isStranded(shown) || isStranded(entry)) this.conflicts += 1;
    if (!shown?.schedule || isPlacedElsewhere(shown.schedule, entry.schedule)) this.structure += 1;
  }

  #gone(id: string): void {
    this.#roster.remove(id);
    if (this.rows.delete(id)) this.#left();
  }

  #left(): void {
    this.structure += 1;
    this.conflicts += 1;
  }

  /** Reads the snapshot until it is there. The rows before stay, marked, until they are replaced. */
  #read(why: "first" | "again"): void {
    this.#loading?.abort();
    const loading = new AbortController();
    this.#loading = loading;
    this.#snapshot = why;
    const roster = new Roster();
    if (why === "first") this.#adopt(roster);
    // What the stream tells from now on belongs to the new roster too.
    else this.#roster = roster;
    void this.#load(roster, loading.signal).then((done) => {
      if (!done) return;
      this.#adopt(roster);
      this.#snapshot = "done";
      for (const id of roster.entries.keys()) if (roster.isBehind(id)) void this.refresh(id);
    });
  }

  #adopt(roster: Roster): void {
    this.#roster = roster;
    for (const id of this.rows.keys()) if (!roster.entry(id).schedule) this.rows.delete(id);
    for (const id of roster.entries.keys()) this.#show(id);
    this.#left();
  }

  async #load(roster: Roster, signal: AbortSignal): Promise<boolean> {
    for (let wait = RETRY_MS; !signal.aborted; wait = Math.min(wait * 2, MOST_RETRY_MS)) {
      try {
        let count = 0;
        for await (const schedule of this.services.schedules(signal)) {
          roster.put(schedule);
          count += 1;
          if (this.#snapshot === "first") this.#show(schedule.contractorId);
        }
        if (count > 0 || !signal.aborted) return !signal.aborted;
      } catch (error) {
        const asked = error instanceof Refusal ? error.retryAfter : null;
        await pause(asked ?? wait, signal);
      }
    }
    return false;
  }
}

function isStranded(entry: Entry | undefined): boolean {
  return (entry?.availability?.conflicts.length ?? 0) > 0;
}

function isPlacedElsewhere(a: Schedule, b: Schedule): boolean {
  return (
    a.name !== b.name ||
    a.territory !== b.territory ||
    a.status !== b.status ||
    a.timeZone !== b.timeZone ||
    a.skills.join() !== b.skills.join()
  );
}
