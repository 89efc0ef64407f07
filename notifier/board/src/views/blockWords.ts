/** What a block is called by those who cannot see it, and under the pointer. */
import { dayTime, duration, t, time } from "../app/texts.svelte";
import { spanOf, type Block } from "../state/layout";
import type { Span } from "../state/ranges";

function when({ start, end }: Span, zone: string): string {
  return `${dayTime(start, zone)}–${time(end, zone)}`;
}

export function describeBlock(block: Block, zone: string): string {
  switch (block.kind) {
    case "job": {
      const span = spanOf(block.job);
      const said = t("block.job", { title: block.job.title, when: when(span, zone) });
      return block.conflict ? `${said}. ${t("block.conflict", { reason: t(`reason.${block.conflict}`) })}` : said;
    }
    case "free":
      return t("block.free", { when: when(block.span, zone), length: duration(block.span.end - block.span.start) });
    case "timeOff": {
      const { start, end } = spanOf(block.timeOff);
      const said = t("block.timeOff", { when: `${dayTime(start, zone)} – ${dayTime(end, zone)}` });
      return block.timeOff.reason ? `${said}: ${block.timeOff.reason}` : said;
    }
    case "override":
      return block.override.reason ? `${t("block.override")}: ${block.override.reason}` : t("block.override");
    default:
      return "";
  }
}
