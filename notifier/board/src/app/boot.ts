/** From nothing to a board that is followed: settings, access, stream. */
import { pause, read, Refusal, send, Unreachable } from "../api/http";
import { Services } from "../api/services";
import type { BoardSettings, Session } from "../api/types";

const AGAIN_MS = 1_000;

/** What the notifier says of itself; waited for, since nothing goes without it. */
export async function boardSettings(waiting: () => void): Promise<BoardSettings> {
  for (;;) {
    try {
      const settings = await read<BoardSettings>("/board.json");
      onOneHost(settings);
      return settings;
    } catch {
      waiting();
      await pause(AGAIN_MS);
    }
  }
}

/** The cookie goes to one host: where the services are on 127.0.0.1, the page must be there too, and not on localhost. */
function onOneHost({ scheduleServiceUrl }: BoardSettings): void {
  const host = new URL(scheduleServiceUrl).hostname;
  if (location.hostname === "localhost" && host === "127.0.0.1") location.hostname = host;
}

/** Who this is; null where somebody has to sign in first. */
export async function signIn(services: Services, waiting: () => void): Promise<Session | null> {
  for (;;) {
    try {
      return await session(services);
    } catch (error) {
      if (!(error instanceof Unreachable) && !(error instanceof Refusal && error.passes)) throw error;
      waiting();
      await pause(error instanceof Refusal ? (error.retryAfter ?? AGAIN_MS) : AGAIN_MS);
    }
  }
}

async function session(services: Services): Promise<Session | null> {
  try {
    return await services.session();
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    // A notifier without the session routes checks nobody.
    if (error.status === 404 && services.settings.signIn === "none") return EVERYBODY;
    if (error.status !== 401) throw error;
  }
  if (services.settings.signIn !== "automatic") return null;
  await send("/v1/session/automatic", { method: "POST" });
  return services.session();
}

const EVERYBODY: Session = { subject: "anonymous", roles: ["admin"], territories: ["*"], expiresAt: null };
