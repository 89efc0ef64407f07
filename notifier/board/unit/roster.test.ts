import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { AvailabilityUpdated, FieldValues, Schedule, ScheduleUpdated } from "../src/api/types";
import { applied, Roster } from "../src/state/roster";
import { ADA, changed } from "./fixtures";

/** Something that one change does to a schedule. */
const change: fc.Arbitrary<FieldValues> = fc.oneof(
  fc.record({ name: fc.constantFrom("Ada", "Ada Byron", "Ada Lovelace") }),
  fc.record({ territory: fc.constantFrom("london-north", "leeds") }),
  fc.record({ status: fc.constantFrom("active" as const, "onLeave" as const) }),
  fc.record({ workingHours: fc.constantFrom([], ADA.workingHours, [{ days: ["SA" as const], start: "22:00", end: "06:00" }]) }),
  fc.tuple(fc.nat(3), fc.option(fc.nat(23))).map(([id, hour]) => ({
    jobs: {
      [`job-${id}`]:
        hour === null
          ? null
          : { id: `job-${id}`, title: `T${hour}`, ...at(hour), bufferBeforeMinutes: 30, bufferAfterMinutes: 30 },
    },
  })),
  fc.tuple(fc.nat(2), fc.option(fc.nat(23))).map(([id, hour]) => ({
    timeOff: { [`off-${id}`]: hour === null ? null : { id: `off-${id}`, ...at(hour) } },
  })),
  fc.tuple(fc.integer({ min: 1, max: 3 }), fc.boolean()).map(([day, there]) => ({
    dateOverrides: { [`2026-12-0${day}`]: there ? { date: `2026-12-0${day}`, windows: [] } : null },
  })),
);

function at(hour: number): { start: string; end: string } {
  const text = String(hour).padStart(2, "0");
  return { start: `2026-12-01T${text}:00:00Z`, end: `2026-12-01T${text}:30:00Z` };
}

/** The true history: every version, and the event that led to it. */
function history(changes: FieldValues[]): { versions: Schedule[]; events: ScheduleUpdated[] } {
  const versions = [ADA];
  const events: ScheduleUpdated[] = [];
  for (const currentValues of changes) {
    const before = versions.at(-1) as Schedule;
    const event = changed(before.version + 1, { currentValues, previousValues: {} });
    events.push(event);
    versions.push(applied(before, event) as Schedule);
  }
  return { versions, events };
}

describe("the roster", () => {
  it("ends as the last version, however snapshot, reads and events are ordered and repeated", () => {
    const orders = fc.array(change, { minLength: 1, maxLength: 8 }).chain((changes) => {
      const { versions, events } = history(changes);
      const seen = fc.shuffledSubarray([...events, ...events], { minLength: 0 });
      return fc.tuple(fc.constant({ versions, events }), seen, fc.nat(versions.length - 1), fc.nat(20));
    });
    fc.assert(
      fc.property(orders, ([{ versions, events }, seen, snapshot, when]) => {
        const roster = new Roster();
        const last = events.at(-1) as ScheduleUpdated;
        // At least once: the last one comes at some time.
        [...seen, last].forEach((event, index) => {
          if (index === when % (seen.length + 1)) roster.put(versions[snapshot] as Schedule);
          roster.update(event);
        });
        // Who is behind is read, and the answer is of any version that is not older than the gap.
        if (roster.isBehind(ADA.contractorId)) roster.put(versions.at(-1) as Schedule);
        expect(roster.isBehind(ADA.contractorId)).toBe(false);
        expect(roster.entry(ADA.contractorId).schedule).toEqual(versions.at(-1));
      }),
      { numRuns: 2000 },
    );
  });

  it("needs no read where nothing is missing", () => {
    fc.assert(
      fc.property(fc.array(change, { minLength: 1, maxLength: 8 }), fc.infiniteStream(fc.nat()), (changes, picks) => {
        const { versions, events } = history(changes);
        const left = [...events];
        const roster = new Roster();
        roster.put(ADA);
        while (left.length > 0) {
          const pick = (picks.next().value as number) % left.length;
          roster.update(left.splice(pick, 1)[0] as ScheduleUpdated);
        }
        expect(roster.isBehind(ADA.contractorId)).toBe(false);
        expect(roster.entry(ADA.contractorId).schedule).toEqual(versions.at(-1));
      }),
    );
  });

  it("reads what a truncated event leaves out", () => {
    const roster = new Roster();
    roster.put(ADA);
    roster.update(changed(2, { truncated: true }));
    expect(roster.isBehind(ADA.contractorId)).toBe(true);
    roster.put({ ...ADA, version: 2, name: "Ada L." });
    expect(roster.isBehind(ADA.contractorId)).toBe(false);
    expect(roster.entry(ADA.contractorId).schedule?.name).toBe("Ada L.");
  });

  it("makes somebody new of the first event alone", () => {
    const { contractorId: _, version: __, updatedAt: ___, jobs: ____, timeOff: _____, dateOverrides: ______, ...fields } = ADA;
    const roster = new Roster();
    roster.update(changed(1, { currentValues: fields, previousValues: {} }));
    expect(roster.entry(ADA.contractorId).schedule).toEqual({ ...ADA, updatedAt: "2026-11-24T09:00:00.000Z" });
  });

  it("keeps the highest version of free time, and of one version the widest", () => {
    const event = (version: number, to: string): AvailabilityUpdated => ({
      ...{ contractorId: ADA.contractorId, territory: ADA.territory, version, calculatedAt: "" },
      horizon: { from: "2026-11-24T00:00:00Z", to },
      windowsEpochMinutes: [[1, version]],
      conflicts: [],
    });
    const events = [event(3, "2026-11-25T00:00:00Z"), event(3, "2026-12-25T00:00:00Z"), event(2, "2026-12-31T00:00:00Z")];
    fc.assert(
      fc.property(fc.shuffledSubarray(events, { minLength: 3 }), (order) => {
        const roster = new Roster();
        for (const one of order) roster.updateAvailability(one);
        const kept = roster.entry(ADA.contractorId).availability;
        expect(kept?.version).toBe(3);
        expect(kept?.range.end).toBe(Date.parse("2026-12-25T00:00:00Z") / 60_000);
      }),
    );
  });
});
