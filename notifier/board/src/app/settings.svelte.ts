/** What this browser remembers of how its dispatcher likes the board. */
import type { Language } from "./texts.svelte";

interface Kept {
  language: Language | "auto";
  clock: "auto" | "12" | "24";
  theme: "auto" | "light" | "dark";
  days: 1 | 3 | 7;
  zones: "mine" | "theirs";
  territory: string;
}

const KEY = "rosterwire.board";
const DEFAULTS: Kept = { language: "auto", clock: "auto", theme: "auto", days: 1, zones: "mine", territory: "" };

function load(): Kept {
  try {
    return { ...DEFAULTS, ...(JSON.parse(localStorage.getItem(KEY) ?? "{}") as Partial<Kept>) };
  } catch {
    return DEFAULTS;
  }
}

export const settings: Kept = $state(load());

/** Keeps what is chosen; called once, inside an effect root. */
export function keepSettings(): void {
  $effect(() => {
    localStorage.setItem(KEY, JSON.stringify(settings));
  });
  $effect(() => {
    const { theme } = settings;
    if (theme === "auto") delete document.documentElement.dataset["theme"];
    else document.documentElement.dataset["theme"] = theme;
  });
}
