/**
 * Reads free time and conflicts where no event has told them: of the rows in view first, then of everybody,
 * so that no conflict stays unseen. A few requests at once, and none while the service asks for a pause; of
 * everybody only so many a second that the bound on one caller is never met by a board that opens.
 */
import { Refusal } from "../api/http";
import { DAY, floorTo, type Span } from "../state/ranges";
import type { Entry } from "../state/roster";
import type { Board } from "./board.svelte";
import { clock } from "./clock.svelte";

const AT_ONCE = 4;
const EVERY_MS = 250;
/** Out of view so many are read each turn: half of what a caller may ask in the long run, and the rest is the dispatcher's. */
const OUT_OF_VIEW_A_TURN = 25;
/** An event usually brings it sooner. */
const EVENT_COMES_MS = 1_500;
const PAUSE_MS = 2_000;
/** What is read beyond what is shown. */
const AHEAD = 8 * DAY;

export class Reader {
  /** The rows in view, and the range that they show. */
  visible: string[] = [];
  range: Span = { start: 0, end: 0 };
  /** Of how many the conflicts are known. */
  known = $state(0);
  readonly #underWay = new Set<string>();
  readonly #changed = new Map<string, { version: number; at: number }>();
  #paused = 0;
  #outOfView = 0;

  constructor(readonly board: Board) {}

  start(): () => void {
    const timer = setInterval(() => {
      this.#outOfView = OUT_OF_VIEW_A_TURN;
      this.#turn();
    }, EVERY_MS);
    return () => clearInterval(timer);
  }

  #turn(): void {
    const { rows } = this.board;
    let known = 0;
    for (const entry of rows.values()) if (entry.availability) known += 1;
    this.known = known;
    if (this.board.phase !== "live" || clock.now() < this.#paused) return;
    for (const id of this.visible) this.#consider(id, rows.get(id), true);
    if (known === rows.size) return;
    for (const [id, entry] of rows) {
      if (this.#underWay.size >= AT_ONCE || this.#outOfView === 0) return;
      if (this.#consider(id, entry, false)) this.#outOfView -= 1;
    }
  }

  #consider(id: string, entry: Entry | undefined, inView: boolean): boolean {
    if (this.#underWay.size >= AT_ONCE || this.#underWay.has(id) || !entry?.schedule) return false;
    const { availability, schedule } = entry;
    const tooShort = inView && availability !== null && availability.range.end < this.range.end;
    if (availability && !tooShort && !this.#isLate(id, schedule.version, availability.version)) return false;
    this.#underWay.add(id);
    void this.#read(id);
    return true;
  }

  /** Whether the event of this version should have come by now. */
  #isLate(id: string, version: number, calculated: number): boolean {
    if (calculated >= version) {
      this.#changed.delete(id);
      return false;
    }
    const seen = this.#changed.get(id);
    if (seen?.version !== version) {
      this.#changed.set(id, { version, at: clock.now() });
      return false;
    }
    return clock.now() - seen.at > EVENT_COMES_MS;
  }

  async #read(id: string): Promise<void> {
    const { roster } = this.board;
    const now = Math.floor(clock.now() / 60_000);
    const start = Math.max(floorTo(now, DAY), floorTo(Math.min(this.range.start, now), DAY));
    const range = { start, end: Math.max(this.range.end, start + AHEAD) };
    try {
      const answer = await this.board.services.availability(id, range);
      if (roster !== this.board.roster) return;
      // It is the wider one now, whatever was known of this version.
      roster.readAvailability(answer);
      this.board.show(id);
    } catch (error) {
      if (error instanceof Refusal && error.status === 404) return;
      this.#paused = clock.now() + ((error instanceof Refusal && error.retryAfter) || PAUSE_MS);
    } finally {
      this.#underWay.delete(id);
      this.#turn();
    }
  }
}
