import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Services } from "../src/api/services";
import type { Schedule } from "../src/api/types";
import { Board } from "../src/app/board.svelte";
import { ADA, changed } from "./fixtures";

const OPENED = Date.parse("2026-11-24T10:00:00Z");

/** A board whose snapshot is of Ada alone. */
function board(): Board {
  const services = {
    async *schedules(): AsyncGenerator<Schedule> {
      yield ADA;
    },
  };
  return new Board(services as unknown as Services);
}

function opens(shown: Board, resumed: boolean): void {
  shown.take({ tell: "link", link: { state: "open", ready: OPENED, resumed } });
}

function happens(shown: Board, version: number, timestamp: string): void {
  const data = changed(version, { currentValues: { name: `Ada ${version}` }, previousValues: {}, timestamp });
  shown.take({ tell: "schedule", data });
}

describe("how current the board says it is", () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  it("is live once the snapshot is there", async () => {
    const shown = board();
    expect(shown.phase).toBe("connecting");
    opens(shown, false);
    expect(shown.phase).toBe("loading");
    await vi.advanceTimersByTimeAsync(1);
    expect(shown.phase).toBe("live");
    expect(shown.stale).toBe(false);
  });

  it("catches up with what it has missed, until something newer than the stream comes", async () => {
    const shown = board();
    opens(shown, false);
    await vi.advanceTimersByTimeAsync(1);
    shown.take({ tell: "link", link: { state: "waiting", until: 0, status: null } });
    expect(shown.phase).toBe("reconnecting");
    opens(shown, true);
    // Never quiet for long, and for longer than anybody waits for quiet.
    for (let version = 2; version < 12; version += 1) {
      happens(shown, version, "2026-11-24T09:59:00Z");
      await vi.advanceTimersByTimeAsync(100);
      expect(shown.phase).toBe("catchingUp");
      expect(shown.stale).toBe(true);
    }
    happens(shown, 12, "2026-11-24T10:00:00.050Z");
    expect(shown.phase).toBe("live");
  });

  it("has caught up where nothing more comes", async () => {
    const shown = board();
    opens(shown, false);
    await vi.advanceTimersByTimeAsync(1);
    opens(shown, true);
    expect(shown.phase).toBe("catchingUp");
    await vi.advanceTimersByTimeAsync(1_000);
    expect(shown.phase).toBe("live");
  });

  it("reads everything again after a reset, and says so", async () => {
    const shown = board();
    opens(shown, false);
    await vi.advanceTimersByTimeAsync(1);
    shown.take({ tell: "reset", reason: "expired" });
    expect(shown.phase).toBe("reset");
    expect(shown.stale).toBe(true);
    await vi.advanceTimersByTimeAsync(1);
    expect(shown.phase).toBe("live");
  });

  it("is signed out where only a person can go on", () => {
    const shown = board();
    shown.take({ tell: "link", link: { state: "signedOut" } });
    expect(shown.phase).toBe("signedOut");
    expect(shown.stale).toBe(true);
  });
});
