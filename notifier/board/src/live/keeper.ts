/**
 * Keeps the event stream open: one for all tabs of the browser.
 *
 * It reads the stream by fetch, and not by EventSource: heartbeats are seen, so that a dead connection
 * is told from a quiet one, and so are the status and Retry-After of a refusal, which are final to an
 * EventSource. Resuming is by the last id, as there.
 */
import { createParser, type EventSourceMessage } from "eventsource-parser";
import { pause, retryAfterOf } from "../api/http";
import type { Link, Told } from "./messages";

const FIRST_WAIT_MS = 500;
const MOST_WAIT_MS = 10_000;
/** How often the watch looks whether the stream is alive. */
const WATCH_MS = 1_000;
/** On top of two heartbeats. */
const GRACE_MS = 2_000;
/** How long the head of the answer may take. */
const OPEN_MS = 10_000;

export class Keeper {
  link: Link = { state: "connecting" };
  #lastId = "";
  #attempts = 0;
  #heartbeatMs = 15_000;
  #lastSign = 0;
  #stream: AbortController | null = null;
  #sleep: AbortController | null = null;
  #begun = false;
  #automatic = false;

  constructor(
    readonly url: string,
    readonly tell: (told: Told) => void,
  ) {}

  begin(automatic: boolean): void {
    this.#automatic = automatic;
    if (this.#begun) return;
    this.#begun = true;
    void this.#run();
    setInterval(() => this.#watch(), WATCH_MS);
  }

  /** Does now what it would do later. */
  wake(): void {
    this.#attempts = 0;
    this.#watch();
    this.#sleep?.abort();
  }

  async #run(): Promise<void> {
    for (;;) {
      let wait: number;
      let status: number | null = null;
      try {
        ({ wait, status } = await this.#follow());
      } catch {
        wait = this.#backOff();
      }
      if (status === 401 && !(await this.#signInAgain())) {
        this.#set({ state: "signedOut" });
        wait = Number.POSITIVE_INFINITY;
      } else if (status === 401) {
        wait = Math.min(wait, FIRST_WAIT_MS * this.#attempts);
      }
      if (wait > 0) await this.#rest(wait, status);
    }
  }

  /** Follows one stream to its end, and says how long to wait before the next. */
  async #follow(): Promise<{ wait: number; status: number | null }> {
    if (this.link.state !== "waiting") this.#set({ state: "connecting" });
    const stream = new AbortController();
    this.#stream = stream;
    const tooLate = setTimeout(() => stream.abort(), OPEN_MS);
    try {
      const response = await fetch(this.url, {
        credentials: "include",
        cache: "no-store",
        headers: { accept: "text/event-stream", ...(this.#lastId && { "last-event-id": this.#lastId }) },
        signal: stream.signal,
      });
      clearTimeout(tooLate);
      if (!response.ok || !response.body) {
        const asked = retryAfterOf(response);
        return { wait: asked === null ? this.#backOff() : asked + Math.random() * FIRST_WAIT_MS, status: response.status };
      }
      await this.#read(response.body);
      // A clean end: a restart, or the end of the token.
      return { wait: this.#backOff(), status: null };
    } finally {
      clearTimeout(tooLate);
      this.#stream = null;
    }
  }

  async #read(body: ReadableStream<Uint8Array>): Promise<void> {
    const parser = createParser({ onEvent: (event) => this.#take(event) });
    const reader = body.pipeThrough(new TextDecoderStream() as ReadableWritablePair<string, Uint8Array>).getReader();
    this.#sign();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      this.#sign();
      parser.feed(value);
    }
  }

  #take({ id, event, data }: EventSourceMessage): void {
    const resumed = this.#lastId !== "";
    if (id !== undefined) this.#lastId = id;
    switch (event) {
      case "ready": {
        const ready = JSON.parse(data) as { position: string; serverTime: string; heartbeatSeconds: number };
        this.#lastId ||= ready.position;
        this.#heartbeatMs = ready.heartbeatSeconds * 1000;
        this.#attempts = 0;
        this.#set({ state: "open", ready: Date.parse(ready.serverTime), resumed });
        break;
      }
      case "reset": {
        const reset = JSON.parse(data) as { position: string; reason: string };
        this.#lastId = id ?? reset.position;
        this.tell({ tell: "reset", reason: reset.reason });
        break;
      }
      case "schedule.updated":
        this.tell({ tell: "schedule", data: JSON.parse(data) });
        break;
      case "availability.updated":
        this.tell({ tell: "availability", data: JSON.parse(data) });
        break;
    }
  }

  /** Ends a stream of which nothing has come for too long: after sleep, or on a dead network. */
  #watch(): void {
    const silent = Date.now() - this.#lastSign;
    if (this.link.state === "open" && silent > 2 * this.#heartbeatMs + GRACE_MS) this.#stream?.abort();
  }

  #sign(): void {
    this.#lastSign = Date.now();
    this.tell({ tell: "alive", at: this.#lastSign });
  }

  /** Whether access is there again without a person. */
  async #signInAgain(): Promise<boolean> {
    try {
      const session = await fetch("/v1/session", { credentials: "include", cache: "no-store" });
      if (session.ok) return true;
      if (!this.#automatic) return false;
      const made = await fetch("/v1/session/automatic", { method: "POST", credentials: "include" });
      return made.ok;
    } catch {
      // Nobody answers: that is no word on access.
      return true;
    }
  }

  async #rest(wait: number, status: number | null): Promise<void> {
    this.#sleep = new AbortController();
    if (this.link.state !== "signedOut") this.#set({ state: "waiting", until: Date.now() + wait, status });
    // Signed out, it waits for somebody to sign in.
    await (Number.isFinite(wait) ? pause(wait, this.#sleep.signal) : aborted(this.#sleep.signal));
    this.#sleep = null;
    if (this.link.state === "signedOut") this.#set({ state: "connecting" });
  }

  #backOff(): number {
    const wait = Math.min(FIRST_WAIT_MS * 2 ** this.#attempts, MOST_WAIT_MS);
    this.#attempts += 1;
    return wait * (0.5 + Math.random() / 2);
  }

  #set(link: Link): void {
    this.link = link;
    this.tell({ tell: "link", link });
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
}
