/** A tab's end of the stream. */
import { Keeper } from "./keeper";
import type { Asked, Told } from "./messages";

export interface Following {
  wake(): void;
}

/** Follows the stream that all tabs share; where browsers have no shared workers, one of its own. */
export function follow(automatic: boolean, take: (told: Told) => void): Following {
  if (typeof SharedWorker === "undefined") {
    const keeper = new Keeper("/v1/events", take);
    keeper.begin(automatic);
    return { wake: () => keeper.wake() };
  }
  const worker = new SharedWorker(new URL("./worker.ts", import.meta.url), { type: "module", name: "rosterwire" });
  const ask = (asked: Asked): void => worker.port.postMessage(asked);
  worker.port.onmessage = ({ data }: MessageEvent<Told>): void => take(data);
  ask({ ask: "begin", automatic });
  addEventListener("pagehide", () => ask({ ask: "leave" }));
  // A page that comes back from the browser's cache of pages follows again.
  addEventListener("pageshow", (event) => {
    if (event.persisted) ask({ ask: "begin", automatic });
  });
  return { wake: () => ask({ ask: "wake" }) };
}
