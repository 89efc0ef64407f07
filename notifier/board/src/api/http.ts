/** Requests to the three services, with the cookie that the browser holds, and what they refuse. */
import type { ProblemDocument } from "./types";

/** An answer that is no success. */
export class Refusal extends Error {
  constructor(
    readonly status: number,
    readonly problem: ProblemDocument | null,
    /** Milliseconds after which it may be tried again, where the answer said so. */
    readonly retryAfter: number | null,
  ) {
    super(problem?.detail ?? problem?.title ?? `HTTP ${status}`);
  }

  /** Whether the same request may succeed later. */
  get passes(): boolean {
    return this.status === 429 || this.status === 502 || this.status === 503 || this.status === 504;
  }
}

/** Nobody has answered: the network, or a service that is away. */
export class Unreachable extends Error {}

export interface Sent {
  method?: string;
  body?: unknown;
  headers?: Record<string, string>;
  signal?: AbortSignal;
}

/** How long a request may take. */
const PATIENCE_MS = 15_000;

/** Sends one request; throws [`Refusal`] or [`Unreachable`]. */
export async function send(url: string, { method = "GET", body, headers = {}, signal }: Sent = {}): Promise<Response> {
  const patience = AbortSignal.timeout(PATIENCE_MS);
  let response: Response;
  try {
    response = await fetch(url, {
      method,
      credentials: "include",
      cache: "no-store",
      headers: { ...(body === undefined ? {} : { "content-type": contentType(method) }), ...headers },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      signal: signal ? AbortSignal.any([signal, patience]) : patience,
    });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Unreachable(String(error));
  }
  if (response.ok) return response;
  throw new Refusal(response.status, await problemOf(response), retryAfterOf(response));
}

export async function read<T>(url: string, sent?: Sent): Promise<T> {
  const response = await send(url, sent);
  return (await response.json()) as T;
}

/** The version that an `ETag` names. */
export function versionOf(response: Response): number | null {
  const digits = /^"(\d+)"$/.exec(response.headers.get("etag") ?? "")?.[1];
  return digits ? Number(digits) : null;
}

/** Milliseconds that `Retry-After` asks to wait. */
export function retryAfterOf(response: Response): number | null {
  const seconds = Number(response.headers.get("retry-after") ?? Number.NaN);
  return Number.isFinite(seconds) ? seconds * 1000 : null;
}

/** Resolves after so long, or when `signal` aborts. */
export function pause(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal?.addEventListener("abort", () => {
      clearTimeout(timer);
      resolve();
    }, { once: true });
  });
}

function contentType(method: string): string {
  return method === "PATCH" ? "application/merge-patch+json" : "application/json";
}

async function problemOf(response: Response): Promise<ProblemDocument | null> {
  try {
    const problem = (await response.json()) as ProblemDocument;
    return typeof problem === "object" && problem !== null ? problem : null;
  } catch {
    return null;
  }
}
