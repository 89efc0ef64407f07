/** Whole minutes since 1970-01-01T00:00Z, and half-open spans of them. */

export type Minute = number;

export interface Span {
  start: Minute;
  end: Minute;
}

export const HOUR = 60;
export const DAY = 24 * HOUR;

export function minuteOf(instant: string): Minute {
  return Math.floor(Date.parse(instant) / 60_000);
}

export function instantOf(minute: Minute): string {
  return new Date(minute * 60_000).toISOString().replace(".000Z", "Z");
}

export function overlaps(a: Span, b: Span): boolean {
  return a.start < b.end && b.start < a.end;
}

/** The part of `span` within `range`; null where there is none. */
export function clipped(span: Span, range: Span): Span | null {
  const start = Math.max(span.start, range.start);
  const end = Math.min(span.end, range.end);
  return start < end ? { start, end } : null;
}

/** Sorted, and what touches is one. */
export function union(spans: Span[]): Span[] {
  const result: Span[] = [];
  for (const span of [...spans].sort((a, b) => a.start - b.start)) {
    const last = result.at(-1);
    if (last && span.start <= last.end) last.end = Math.max(last.end, span.end);
    else result.push({ ...span });
  }
  return result;
}

/** What is left of `span`, in order; `taken` is a union. */
export function without(span: Span, taken: Span[]): Span[] {
  const left: Span[] = [];
  let { start } = span;
  for (const other of taken) {
    if (start < Math.min(other.start, span.end)) left.push({ start, end: Math.min(other.start, span.end) });
    start = Math.max(start, other.end);
  }
  if (start < span.end) left.push({ start, end: span.end });
  return left;
}

/** To the next multiple of `step` at or before. */
export function floorTo(minute: Minute, step: number): Minute {
  return Math.floor(minute / step) * step;
}
