/** What every view needs, handed down once. */
import { createContext } from "svelte";
import type { Acts } from "./acts.svelte";
import type { Board } from "./board.svelte";
import type { Reader } from "./reader.svelte";
import type { View } from "./view.svelte";

export interface Desk {
  board: Board;
  acts: Acts;
  view: View;
  reader: Reader;
  /** Looks at once whether the stream is alive. */
  wake(): void;
}

export const [desk, setDesk] = createContext<Desk>();
