/**
 * Where the focus goes when what had it is not there any more (a job that was cancelled, an answer that no
 * longer holds, a conflict that is solved) or has been put elsewhere (a row, when others are free sooner).
 * Browsers let it fall to the page, and the keyboard starts anew.
 */
import type { Attachment } from "svelte/attachments";

/** Keeps the focus in a part of the page; `next` says where it goes, given what had it and in which row that was. */
export function keepsFocus(next: (gone: HTMLElement, row: string | undefined) => HTMLElement | null | undefined): Attachment<HTMLElement> {
  return (part) => {
    let held: HTMLElement | null = null;
    let row: string | undefined;
    const took = ({ target }: FocusEvent): void => {
      if (!(target instanceof HTMLElement)) return;
      held = target;
      row = target.closest<HTMLElement>("[data-row]")?.dataset["row"];
    };
    const left = ({ relatedTarget }: FocusEvent): void => {
      if (relatedTarget instanceof Node && !part.contains(relatedTarget)) held = null;
    };
    const watch = new MutationObserver((changes) => {
      const gone = held;
      if (!gone || document.activeElement !== document.body) return;
      if (gone.isConnected) {
        const isMoved = changes.some(({ addedNodes }) => [...addedNodes].some((node) => node.contains(gone)));
        if (isMoved) gone.focus({ preventScroll: true });
        return;
      }
      held = null;
      next(gone, row)?.focus({ preventScroll: true });
    });
    part.addEventListener("focusin", took);
    part.addEventListener("focusout", left);
    watch.observe(part, { childList: true, subtree: true });
    return () => {
      part.removeEventListener("focusin", took);
      part.removeEventListener("focusout", left);
      watch.disconnect();
    };
  };
}

/** The name of a row, where it is in the page. */
export function nameIn(row: string | undefined): HTMLElement | null {
  return row ? document.querySelector<HTMLElement>(`[data-row="${row}"] [data-key="name"]`) : null;
}

/** The tab of the panel that is open. */
export function openTab(): HTMLElement | null {
  return document.querySelector<HTMLElement>('[role="tab"][aria-selected="true"]');
}
