// What every browser test has: Chromium, dispatchers at their boards, and words with the test that started it.
import { readFileSync } from "node:fs";
import { createConnection, createServer } from "node:net";
import { createInterface } from "node:readline";

const { BOARD_URL, BOARD_MODULES, CHROMIUM = "/usr/bin/chromium" } = process.env;
const { chromium } = await import(`${BOARD_MODULES}/playwright-core/index.mjs`);
const axe = readFileSync(`${BOARD_MODULES}/axe-core/axe.min.js`, "utf8");

/** How long anything may take before a test fails: far more than anything takes. */
export const DEADLINE = 30_000;

const pages = [];

export async function browser() {
  const args = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-dev-shm-usage"];
  return chromium.launch({ executablePath: CHROMIUM, args });
}

/** A dispatcher in London with a browser of their own, whose board is live. */
export async function dispatcher(options = {}) {
  const own = await browser();
  const context = await own.newContext({ viewport: { width: 1440, height: 900 }, locale: "en-GB", timezoneId: "Europe/London", ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(DEADLINE);
  pages.push(page);
  page.on("pageerror", (error) => void fail(error));
  await page.goto(options.url ?? BOARD_URL);
  return { page, close: () => own.close() };
}

export async function live(page, word = "Live") {
  await page.locator(".status .pill", { hasText: word }).waitFor();
}

/** Calls the write side as the page that is signed in. */
export function call(page, path, { method = "POST", body, headers = {} } = {}) {
  return page.evaluate(
    async ([path, method, body, headers]) => {
      // Asked once: the notifier may be away later.
      globalThis.writes ??= (await (await fetch("/board.json")).json()).scheduleServiceUrl;
      const type = method === "PATCH" ? "application/merge-patch+json" : "application/json";
      const answer = await fetch(`${globalThis.writes}/v1${path}`, {
        method,
        credentials: "include",
        headers: { "content-type": type, ...headers },
        ...(body ? { body: JSON.stringify(body) } : {}),
      });
      const text = await answer.text();
      if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${text}`);
      return text ? JSON.parse(text) : null;
    },
    [path, method, body, headers],
  );
}

/** A contractor who works all week from 08:00 to 17:00. */
export async function contractor(page, name, territory, more = {}) {
  const days = ["MO", "TU", "WE", "TH", "FR", "SA", "SU"];
  const body = { name, territory, timeZone: "Europe/London", skills: ["gas"], workingHours: [{ days, start: "08:00", end: "17:00" }], ...more };
  return (await call(page, "/contractors", { body })).contractorId;
}

/** What axe finds, as text; nothing where it finds nothing. */
export async function violations(page) {
  await page.evaluate(axe);
  const found = await page.evaluate(() =>
    globalThis.axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] }),
  );
  return found.violations.map(({ id, nodes }) => `${id}: ${nodes.slice(0, 3).map(({ html, failureSummary }) => `${html.slice(0, 160)} ${failureSummary}`).join(" | ")}`);
}

/** A wire to the notifier that can be cut, mended, and silenced. */
export function wire(port, target) {
  const sockets = new Set();
  let state = "whole";
  const server = createServer((client) => {
    if (state === "cut") return client.destroy();
    const upstream = createConnection(target.port, target.hostname);
    for (const [from, to] of [[client, upstream], [upstream, client]]) {
      sockets.add(from);
      from.on("error", () => {}).on("close", () => (sockets.delete(from), to.destroy()));
      from.on("data", (bytes) => state !== "silent" && to.write(bytes));
    }
  });
  server.listen(port, "127.0.0.1");
  return {
    cut() {
      state = "cut";
      for (const socket of sockets) socket.destroy();
    },
    silence() {
      state = "silent";
    },
    mend() {
      state = "whole";
    },
    close: () => server.close(),
  };
}

const answers = [];
const waiting = [];
const input = createInterface({ input: process.stdin });
input.on("line", (line) => (waiting.shift() ?? ((text) => answers.push(text)))(line));

/** Has the test that started this do something, and waits for its word. */
export async function ask(what) {
  console.log(`ASK ${what}`);
  return answers.shift() ?? (await new Promise((resolve) => waiting.push(resolve)));
}

export function expect(holds, what) {
  if (!holds) throw new Error(what);
}

/** Ends the test, and says what the boards showed. */
async function fail(error) {
  console.error(`FAILED: ${error.stack}`);
  for (const page of pages) {
    const told = await page.locator("body").innerText({ timeout: 2_000 }).catch((gone) => gone.message);
    console.error(`--- a board showed\n${told}\n--- with the focus at`);
    console.error(await page.evaluate(() => document.activeElement.outerHTML.slice(0, 300)).catch((gone) => gone.message));
  }
  process.exit(1);
}

/** Runs the steps, and ends with what they have shown. */
export async function run(steps) {
  try {
    await steps();
    console.log("PASSED");
    process.exit(0);
  } catch (error) {
    await fail(error);
  }
}
