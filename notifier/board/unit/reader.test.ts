import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Refusal } from "../src/api/http";
import type { ContractorAvailability } from "../src/api/types";
import type { Board } from "../src/app/board.svelte";
import { Reader } from "../src/app/reader.svelte";
import { ADA } from "./fixtures";

const PEOPLE = 1_000;
/** What a caller may ask in the long run, by default. */
const ALLOWED_A_SECOND = 200;

/** A board of a thousand of whom nothing is known yet; asked of them is answered at once. */
function board(answer: (id: string) => Promise<ContractorAvailability>): { board: Board; known: Set<string> } {
  const known = new Set<string>();
  const rows = new Map(
    Array.from({ length: PEOPLE }, (_, number) => [String(number), { schedule: ADA, availability: null as object | null }]),
  );
  const roster = {
    readAvailability: ({ contractorId }: ContractorAvailability) => {
      known.add(contractorId);
      const row = rows.get(contractorId);
      if (row) row.availability = { version: 1, range: { start: 0, end: Number.MAX_SAFE_INTEGER } };
    },
  };
  const services = { availability: answer };
  return { board: { rows, roster, services, phase: "live", show: () => undefined } as unknown as Board, known };
}

const found = (contractorId: string): ContractorAvailability => ({ contractorId }) as ContractorAvailability;

describe("the reader", () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  it("reads those in view first, and everybody without meeting the bound on one caller", async () => {
    const asked: { id: string; at: number }[] = [];
    const { board: shown, known } = board((id) => {
      asked.push({ id, at: Date.now() });
      return Promise.resolve(found(id));
    });
    const reader = new Reader(shown);
    reader.visible = Array.from({ length: 40 }, (_, number) => String(900 + number));
    const begun = Date.now();
    const stop = reader.start();
    await vi.advanceTimersByTimeAsync(20_000);
    stop();
    expect(known.size).toBe(PEOPLE);
    expect(asked.length).toBe(PEOPLE);
    expect(new Set(asked.slice(0, 40).map(({ id }) => id))).toEqual(new Set(reader.visible));
    for (let second = 0; second < 20; second += 1) {
      const from = begun + second * 1_000;
      const count = asked.filter(({ at }) => at >= from && at < from + 1_000).length;
      expect(count).toBeLessThanOrEqual(ALLOWED_A_SECOND);
    }
  });

  it("asks nothing while it is told to wait, and goes on then", async () => {
    let refusals = 1;
    const asked: number[] = [];
    const { board: shown, known } = board((id) => {
      asked.push(Date.now());
      if (refusals === 0) return Promise.resolve(found(id));
      refusals -= 1;
      return Promise.reject(new Refusal(429, null, 5_000));
    });
    const stop = new Reader(shown).start();
    await vi.advanceTimersByTimeAsync(5_000);
    const before = asked.length;
    expect(before).toBeLessThanOrEqual(8);
    await vi.advanceTimersByTimeAsync(20_000);
    stop();
    expect(known.size).toBe(PEOPLE);
  });
});
