/** A question in a dispatcher's own words: "2 hours tomorrow afternoon in london-north with skill gas". */
import { addDays, dayOf, minuteAt, weekdayOf, WEEKDAYS } from "./civil";
import type { Span } from "./ranges";

export type Part = "day" | "morning" | "afternoon" | "evening";

/** What is asked, as the form has it. */
export interface Question {
  minutes: number;
  date: string;
  part: Part;
  territory: string;
  skills: string[];
}

const PARTS: Record<Part, [string, string]> = {
  day: ["00:00", "24:00"],
  morning: ["07:00", "12:00"],
  afternoon: ["12:00", "18:00"],
  evening: ["17:00", "22:00"],
};

/** The instants of a part of a day. */
export function rangeOf(zone: string, date: string, part: Part): Span {
  const [from, to] = PARTS[part];
  if (part === "day") return dayOf(zone, date);
  return { start: minuteAt(zone, date, from), end: minuteAt(zone, date, to) };
}

/** A whole word, whatever its letters. */
function word(pattern: string): RegExp {
  return new RegExp(`(?<![\\p{L}\\d])(?:${pattern})(?![\\p{L}\\d])`, "u");
}

const PART_WORDS: [RegExp, Part][] = [
  [word("(morning|vormittags?|früh)"), "morning"],
  [word("(afternoon|nachmittags?)"), "afternoon"],
  [word("(evening|tonight|abends?)"), "evening"],
  [word("(all day|any ?time|whole day|ganztags|ganzen tag)"), "day"],
];

const DAY_WORDS: [RegExp, number][] = [
  [word("(day after tomorrow|übermorgen)"), 2],
  [word("(tomorrow|morgen)"), 1],
  [word("(today|tonight|heute)"), 0],
];

const WEEKDAY_WORDS = [
  word("(mon(day)?|montags?)"),
  word("(tue(s(day)?)?|dienstags?)"),
  word("(wed(nesday)?|mittwochs?)"),
  word("(thu(rs(day)?)?|donnerstags?)"),
  word("(fri(day)?|freitags?)"),
  word("(sat(urday)?|samstags?|sonnabends?)"),
  word("(sun(day)?|sonntags?)"),
];

/** Takes from a sentence what it says; the rest stays as it was. `today` is the dispatcher's. */
export function understand(text: string, before: Question, known: { today: string; territories: string[]; skills: string[] }): Question {
  // "1,5" is a number.
  const said = ` ${text.toLocaleLowerCase().replace(/(?:[\s;?!]|,(?!\d)|(?<!\d),)+/g, " ")} `;
  // A slug may be said with spaces: "london north".
  const spellings = (slug: string): string[] => [` ${slug} `, ` ${slug.replaceAll("-", " ")} `];
  const says = (slug: string): boolean => spellings(slug).some((spelling) => said.includes(spelling));
  const longest = (a: string, b: string): number => b.length - a.length;
  // A trade is said as a person too: a plumber for plumbing.
  const roots = said.split(" ").flatMap((word) => (root(word) === word ? [] : [root(word)]));
  const skills = known.skills.filter((skill) => says(skill) || (skill.length >= SHORTEST_TRADE && roots.includes(root(skill))));
  const territory = known.territories.filter(says).sort(longest)[0];
  // Names are no times: Sun Valley is not a Sunday.
  const names = [territory ?? [], skills.filter(says)].flat().flatMap(spellings).sort(longest);
  const rest = names.reduce((left, name) => left.replaceAll(name, "  "), said);
  return {
    minutes: minutesIn(rest) ?? before.minutes,
    date: dateIn(rest, known.today) ?? before.date,
    part: PART_WORDS.find(([words]) => words.test(rest))?.[1] ?? before.part,
    territory: territory ?? before.territory,
    skills: skills.length > 0 ? skills : before.skills,
  };
}

const SHORTEST_TRADE = 6;

/** What a trade and who has it have in common: plumb of plumbing, plumber and plumbers. */
function root(word: string): string {
  return word.replace(/(?:ing|ical|icians?|ers?|ry|s)$/u, "");
}

function minutesIn(said: string): number | null {
  const hours = /(?<![\p{L}\d.,-])(\d+(?:[.,]\d+)?)\s*(?:h|hrs?|hours?|std\.?|stunden?)(?!\p{L})/u.exec(said)?.[1];
  // As a word, or in one with the hours: 1h30m.
  const minutes = /(?<=[^\p{L}\d.,-]|\dh)(\d+)\s*(?:m|mins?|minutes?|minuten?)(?![\p{L}\d])/u.exec(said)?.[1];
  if (hours || minutes) return Math.round(Number((hours ?? "0").replace(",", ".")) * 60) + Number(minutes ?? 0) || null;
  if (word("(half an hour|halbe stunde)").test(said)) return 30;
  return word("(an|one|eine) (hour|stunde)").test(said) ? 60 : null;
}

function dateIn(said: string, today: string): string | null {
  const written = /\b\d{4}-\d{2}-\d{2}\b/.exec(said)?.[0];
  if (written) return written;
  // "morgen" is tomorrow, and "morgen früh" its morning.
  const days = DAY_WORDS.find(([words]) => words.test(said))?.[1];
  if (days !== undefined) return addDays(today, days);
  const weekday = WEEKDAY_WORDS.findIndex((words) => words.test(said));
  if (weekday < 0) return null;
  const ahead = (weekday - WEEKDAYS.indexOf(weekdayOf(today)) + 7) % 7;
  return addDays(today, ahead === 0 ? 7 : ahead);
}
