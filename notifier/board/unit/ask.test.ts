import { describe, expect, it } from "vitest";
import { understand, type Question } from "../src/state/ask";

const BEFORE: Question = { minutes: 60, date: "2026-11-24", part: "day", territory: "", skills: [] };
const KNOWN = { today: "2026-11-24", territories: ["leeds", "london-north", "london-south", "sun-valley", "north-x9p4m"], skills: ["gas", "boiler", "roof-repair", "roofing", "electrical"] };

describe("a question in words", () => {
  it.each([
    ["who can take 2 hours tomorrow afternoon in london-north with skill gas?", { minutes: 120, date: "2026-11-25", part: "afternoon", territory: "london-north", skills: ["gas"] }],
    ["90 min on friday morning, london south, boiler and roof repair", { minutes: 90, date: "2026-11-27", part: "morning", territory: "london-south", skills: ["boiler", "roof-repair"] }],
    ["1.5 h day after tomorrow", { minutes: 90, date: "2026-11-26" }],
    ["2 Stunden morgen Nachmittag in leeds", { minutes: 120, date: "2026-11-25", part: "afternoon", territory: "leeds" }],
    ["eine Stunde heute vormittag", { minutes: 60, part: "morning" }],
    ["übermorgen 30 Minuten", { minutes: 30, date: "2026-11-26" }],
    ["next tuesday", { date: "2026-12-01" }],
    ["2026-12-24 evening 1h 30m", { date: "2026-12-24", part: "evening", minutes: 90 }],
    ["the first free roofer tomorrow morning", { date: "2026-11-25", part: "morning", skills: ["roofing"] }],
    ["an electrician today", { skills: ["electrical"] }],
    ["1,5 Stunden, leeds", { minutes: 90, territory: "leeds" }],
    ["1h30m today", { minutes: 90 }],
    ["2 hours in sun valley", { minutes: 120, territory: "sun-valley" }],
    ["1 hour in north-x9p4m", { territory: "north-x9p4m" }],
    ["1 hour in south-x9p4m, unit-4h, or 4.30m away", {}],
    ["hello", {}],
  ] as [string, Partial<Question>][])("%s", (text, said) => {
    expect(understand(text, BEFORE, KNOWN)).toEqual({ ...BEFORE, ...said });
  });
});
