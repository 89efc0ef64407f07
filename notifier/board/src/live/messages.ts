/** What the keeper of the stream and the tabs tell each other. */
import type { AvailabilityUpdated, ScheduleUpdated } from "../api/types";

export type Link =
  /** No stream yet, or a new one is being asked for. */
  | { state: "connecting" }
  /** The stream is open. `ready` is the server's time of it, in milliseconds. */
  | { state: "open"; ready: number; resumed: boolean }
  /** The stream has ended or was refused; the next attempt comes at `until`. */
  | { state: "waiting"; until: number; status: number | null }
  /** Access has ended, and only a person can sign in again. */
  | { state: "signedOut" };

export type Told =
  | { tell: "link"; link: Link }
  /** Something came, if only a heartbeat. */
  | { tell: "alive"; at: number }
  | { tell: "reset"; reason: string }
  | { tell: "schedule"; data: ScheduleUpdated }
  | { tell: "availability"; data: AvailabilityUpdated };

export type Asked =
  /** Look at once whether the stream is alive, or open it: the network is back, or somebody has signed in. */
  | { ask: "wake" }
  | { ask: "begin"; automatic: boolean }
  /** This tab has gone. */
  | { ask: "leave" };
