// A thousand contractors and twenty changes a second: what is in the page stays small, and live.
// With BOARD_MEASURE it is a measurement, for a machine that does nothing else: how soon the board is
// there, and how smoothly it scrolls.
import { ask, browser, dispatcher, expect, live, run } from "./desk.mjs";

const measuring = process.env.BOARD_MEASURE !== undefined;
const SECONDS = 4;
const ROUNDS = 3;
const OPENINGS = 5;
/** What fits on the screen, and what is rendered beyond it above and below. */
const MOST_ROWS = Math.ceil(900 / 44) + 2 * 6 + 2;

run(async () => {
  await ask("seed 200");
  await opens(200);
  await ask("seed 1000");
  await opens(1000);
  const { page, close } = await dispatcher();
  await live(page);
  expect((await page.locator(".corner").innerText()).startsWith("1000"), "a thousand contractors");
  // What is read once at the start is no part of what is measured.
  await page.getByRole("tab", { name: /Conflicts/ }).click();
  await page.getByText(/that the schedule no longer covers|Every job is covered/).waitFor();
  await page.getByRole("tab", { name: "Changes" }).click();
  await ask("begin changes");
  await page.locator("[role=log] li").nth(5).waitFor();
  for (let round = 0; round < (measuring ? ROUNDS : 1); round += 1) {
    const told = await scroll(page);
    expect(told.rows <= MOST_ROWS, `at most ${MOST_ROWS} rows are in the page, not ${told.rows}`);
    expect(!measuring || told.frames >= 50, `at least 50 frames a second, not ${told.frames.toFixed(1)}`);
  }
  expect((await page.locator(".pill").innerText()) === "Live", "live all the time");
  // It is never quiet: whoever comes now is live all the same, after the snapshot and after a cut.
  await page.reload();
  await live(page);
  await page.context().setOffline(true);
  await page.context().setOffline(false);
  await live(page);
  await close();
});

/** From the address to rows that are live, in a browser that has never been there. */
async function opens(contractors) {
  const own = await browser();
  const took = [];
  for (let opening = 0; opening < (measuring ? OPENINGS : 1); opening += 1) {
    const page = await (await own.newContext({ viewport: { width: 1440, height: 900 }, locale: "en-GB" })).newPage();
    const begun = performance.now();
    await page.goto(process.env.BOARD_URL);
    await page.locator(".row .block").first().waitFor();
    const first = performance.now() - begun;
    await live(page);
    took.push(performance.now() - begun);
    console.log(`${contractors} contractors: rows after ${first.toFixed(0)} ms, all there and live after ${took.at(-1).toFixed(0)} ms`);
    await page.context().close();
  }
  expect(!measuring || Math.max(...took) < 3000, `a living board within 3 s, not ${took.join(", ")} ms`);
  await own.close();
}

/** Scrolls about three rows a frame, down and up again. */
async function scroll(page) {
  const session = await page.context().newCDPSession(page);
  await session.send("Performance.enable");
  const busy = async () => (await session.send("Performance.getMetrics")).metrics.find(({ name }) => name === "TaskDuration").value;
  const before = await busy();
  const told = await page.evaluate(async (seconds) => {
    const long = [];
    const watch = new PerformanceObserver((list) => long.push(...list.getEntries().map((entry) => entry.duration)));
    watch.observe({ entryTypes: ["longtask"] });
    const scroller = document.querySelector(".scroller");
    const way = scroller.scrollHeight - scroller.clientHeight;
    const end = performance.now() + seconds * 1000;
    const frames = [];
    let rows = 0;
    let last = performance.now();
    await new Promise((done) => {
      const frame = (now) => {
        frames.push(now - last);
        last = now;
        rows = Math.max(rows, document.querySelectorAll(".row").length);
        scroller.scrollTop = Math.abs(((frames.length * 130) % (2 * way)) - way);
        if (now < end) requestAnimationFrame(frame);
        else done();
      };
      requestAnimationFrame(frame);
    });
    watch.disconnect();
    frames.sort((a, b) => a - b);
    return { count: frames.length, p99: frames[Math.floor(frames.length * 0.99)], long, rows };
  }, SECONDS);
  const task = (((await busy()) - before) * 1000) / told.count;
  const frames = told.count / SECONDS;
  console.log(
    `${frames.toFixed(1)} frames/s, 99 % within ${told.p99.toFixed(0)} ms; ${task.toFixed(1)} ms of the main thread each; ` +
      `${told.long.length} long tasks, the longest ${Math.max(0, ...told.long).toFixed(0)} ms; ${told.rows} rows in the page`,
  );
  return { frames, rows: told.rows };
}
