// What stands on the timeline, on whose clock, over how many days; and that it moves for those only who want it.
import { call, contractor, dispatcher, expect, live, run } from "./desk.mjs";

const territory = `timeline-${Date.now().toString(36)}`;
const tomorrow = new Date(Date.now() + 86_400_000).toLocaleDateString("en-CA", { timeZone: "Europe/London" });

run(async () => {
  const { page, close } = await dispatcher();
  await live(page);
  // Tokyo has no summer time: nine hours ahead of UTC all year, which the job's time is in.
  const yuki = await contractor(page, "Yuki Sato", territory, { timeZone: "Asia/Tokyo" });
  await call(page, `/contractors/${yuki}/jobs`, { body: { title: "Pipe", start: `${tomorrow}T02:00:00Z`, end: `${tomorrow}T03:00:00Z`, bufferBeforeMinutes: 30, bufferAfterMinutes: 30 } });
  await call(page, `/contractors/${yuki}/time-off`, { body: { start: `${tomorrow}T05:00:00Z`, end: `${tomorrow}T06:00:00Z`, reason: "dentist" } });
  await call(page, `/contractors/${yuki}/date-overrides/${tomorrow}`, { method: "PUT", body: { windows: [{ start: "09:00", end: "19:00" }], reason: "fair" }, headers: { "if-match": "*" } });
  const row = page.locator(`[data-row="${yuki}"]`);
  await row.locator(".zone", { hasText: /^\d\d:\d\d Tokyo$/ }).waitFor();
  await page.locator(".now-line").waitFor();

  await page.getByRole("button", { name: "Later" }).click();
  await page.locator(".now-line").waitFor({ state: "detached" });
  for (const what of ["working", "free", "buffer"]) await row.locator(`.${what}`).first().waitFor();
  await row.getByRole("button", { name: /^Time off, .*: dentist$/ }).waitFor();
  await row.getByRole("button", { name: "Hours of this day only: fair" }).waitFor();

  // On the dispatcher's clock the job is where London has it, and on the contractor's where Tokyo has it.
  const place = async () => (await row.locator(".job").boundingBox()).x;
  const mine = await place();
  await page.getByLabel("Their clock").check();
  await row.getByRole("button", { name: /^Pipe, .*11:00–12:00$/ }).waitFor();
  await settled(row);
  expect((await place()) > mine, "eleven in Tokyo is further right than two or three in London");
  await page.getByLabel("London", { exact: true }).check();
  await row.getByRole("button", { name: /^Pipe, .*0[23]:00–0[34]:00$/ }).waitFor();

  for (const [name, days] of [["3 days", 3], ["Week", 7], ["Day", 1]]) {
    await page.getByLabel(name, { exact: true }).first().check();
    await page.locator(".day-name").nth(days - 1).waitFor();
    expect((await page.locator(".day-name").count()) === days, `${name} shows ${days}`);
  }

  // A change shows where it happened, except to those who want no motion.
  await row.locator(".job").waitFor();
  expect((await animated(page, row, yuki, "Moving")) > 0, "a change is animated in place");
  await page.emulateMedia({ reducedMotion: "reduce" });
  expect((await animated(page, row, yuki, "Still")) === 0, "nothing moves where no motion is wanted");
  await close();
});

/** Waits for what moves to stand. */
function settled(row) {
  return row.evaluate((element) => Promise.allSettled(element.getAnimations({ subtree: true }).map((one) => one.finished)));
}

/** How many animations a change of the name has begun in the row. */
async function animated(page, row, id, name) {
  await page.evaluate(() => {
    globalThis.begun = 0;
    globalThis.animateBefore ??= Element.prototype.animate;
    Element.prototype.animate = function (...terms) {
      globalThis.begun += 1;
      return globalThis.animateBefore.apply(this, terms);
    };
  });
  await call(page, `/contractors/${id}/schedule`, { method: "PATCH", body: { name }, headers: { "if-match": "*" } });
  await row.locator(".name .text", { hasText: name }).waitFor();
  // Effects have run by the frame after the next.
  await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
  return page.evaluate(() => globalThis.begun);
}
