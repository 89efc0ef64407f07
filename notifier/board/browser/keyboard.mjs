// By keyboard alone: booking, moving, cancelling, time off, hours, one day, a conflict. Nothing here touches the
// mouse; the focus is seen wherever it is, and never falls to the page.
import { contractor, dispatcher, expect, live, run } from "./desk.mjs";

const territory = `keys-${Date.now().toString(36)}`;
/** Past every stop of the page and round again. */
const MOST_STOPS = 80;

run(async () => {
  const { page, close } = await dispatcher({ viewport: { width: 1600, height: 900 } });
  await live(page);
  const ada = await contractor(page, "Ada Byron", territory);
  const bob = await contractor(page, "Bob Noyce", territory);
  await page.locator(`[data-row="${bob}"]`).waitFor();
  const { keyboard } = page;
  const press = async (...keys) => {
    for (const key of keys) await keyboard.press(key);
  };
  const job = (who, title) => page.locator(`[data-row="${who}"] .job`, { hasText: title });
  const said = (text) => page.locator("[role=status], [role=alert], [aria-live=polite]", { hasText: text }).first().waitFor();
  const opened = () => page.locator("dialog").waitFor();
  const closed = () => page.locator("dialog").waitFor({ state: "detached" });

  // What there is to know stands one key away.
  await tabTo(page, "Help and keys");
  await press("Enter");
  await opened();
  await page.getByText("On a job, takes it up").waitFor();
  await press("Escape");
  await closed();
  await focusIs(page, "Help and keys");

  // Asked and booked. The day after today, so that everything is still to come.
  await tabTo(page, "Later");
  await press("Enter");
  await tabTo(page, /^In your words/);
  await keyboard.type(`1 hour tomorrow morning with gas in ${territory}`);
  await press("Enter");
  await said("2 people can take 1 h");
  await tabTo(page, /^Book Ada Byron/);
  await press("Enter");
  await opened();
  await focusIs(page, "What is to be done");
  await keyboard.type("Boiler service");
  await press("Enter");
  await closed();
  await said("Boiler service is booked with Ada Byron");
  await job(ada, "Boiler service").waitFor();
  await focusIs(page, /^Book .* at/);

  // Taken up, to two hours later, back to where it was by Escape, and then to Bob.
  await toRow(page, "Ada Byron");
  await arrowTo(page, /^Boiler service/);
  // Bob comes first now; the focus goes with the row.
  await page.locator(`[data-row="${ada}"][aria-rowindex="3"]`).waitFor();
  await focusIs(page, /^Boiler service/);
  await press("m");
  await said("Enter puts it down");
  await press("Shift+ArrowRight", "Shift+ArrowRight");
  await said("10:00–11:00");
  await press("Escape");
  await focusIs(page, /^Boiler service, .*08:00–09:00/);
  await press("m", "Shift+ArrowRight", "Shift+ArrowRight", "ArrowRight", "ArrowUp");
  await said("Bob Noyce, ");
  await press("Enter");
  await job(bob, "Boiler service").waitFor();
  await job(ada, "Boiler service").waitFor({ state: "detached" });
  await said("Boiler service is now with Bob Noyce");
  await focusIs(page, /^Boiler service, .*10:15–11:15/);

  // Taken back, and done again by the form.
  await press("Control+z");
  await job(ada, "Boiler service").waitFor();
  await toRow(page, "Ada Byron");
  await arrowTo(page, /^Boiler service/);
  await press("Enter");
  await opened();
  await tabTo(page, "With");
  await keyboard.type("Bob");
  await tabTo(page, "Save");
  await press("Enter");
  await closed();
  await job(bob, "Boiler service").waitFor();

  // Cancelled; the focus stays in the row.
  await toRow(page, "Bob Noyce");
  await arrowTo(page, /^Boiler service/);
  await press("Enter");
  await opened();
  await tabTo(page, "Cancel the job");
  await press("Enter");
  await closed();
  await said("Boiler service with Bob Noyce is cancelled");
  await job(bob, "Boiler service").waitFor({ state: "detached" });
  expect(await page.evaluate((id) => document.activeElement?.closest("[data-row]")?.dataset.row === id, bob), "the focus stays in the row of what was cancelled");

  // A free window is booked by Enter, and the focus goes to what stands there then.
  await press("Home");
  await focusIs(page, "Bob Noyce");
  await arrowTo(page, /^Free/);
  await press("Enter");
  await opened();
  await keyboard.type("Stranded soon");
  await press("Enter");
  await closed();
  await job(bob, "Stranded soon").waitFor();
  expect(await page.evaluate((id) => document.activeElement?.closest("[data-row]")?.dataset.row === id, bob), "the focus stays in the row that was booked");

  // All of them again: what comes makes them go from those who can take it.
  await tabTo(page, "Show everybody");
  await press("Enter");

  // Hours: Tuesday ends earlier.
  await toRow(page, "Ada Byron");
  await press("Enter");
  await opened();
  await tabTo(page, "To, Tuesday");
  await keyboard.type("0300PM");
  await tabTo(page, "Save hours");
  await press("Enter");
  await closed();
  await said("Ada Byron: saved");
  await focusIs(page, "Ada Byron");

  // One day: without its window.
  await press("Enter");
  await opened();
  await tabTo(page, "Weekly hours");
  await press("ArrowRight");
  await tabTo(page, /^Remove the window/);
  await press("Enter");
  await tabTo(page, "Save this day");
  await press("Enter");
  await closed();
  await page.locator(`[data-row="${ada}"] .override`).waitFor();
  await press("Control+z");
  await page.locator(`[data-row="${ada}"] .override`).waitFor({ state: "detached" });

  // Time off strands a job; the conflict is solved.
  await press("ArrowDown");
  await focusIs(page, "Bob Noyce");
  await press("Enter");
  await opened();
  await tabTo(page, "Weekly hours");
  await press("ArrowLeft");
  await tabTo(page, "Add time off");
  await press("Enter");
  await closed();
  await said("Bob Noyce: time off added");
  await job(bob, "Stranded soon").and(page.locator(".conflict")).waitFor();
  await tabTo(page, "Ask");
  await press("ArrowRight");
  await focusIs(page, /^Conflicts/);
  await said("1 job that the schedule no longer covers");
  await tabTo(page, "Who else can take it?");
  await press("Enter");
  await page.locator(".ways li button").first().waitFor();
  await focusIs(page, /^Ada Byron, same time/);
  await press("Enter");
  await opened();
  await tabTo(page, "Save");
  await press("Enter");
  await closed();
  await job(ada, "Stranded soon").waitFor();
  await said("Every job is covered.");
  await focusIs(page, /^Conflicts/);
  await close();
});

/** What has the focus, as a reader of the screen tells it; and whether it is seen there. */
function focus(page) {
  return page.evaluate(() => {
    const at = document.activeElement;
    if (!at || at === document.body) return { name: "(the page)", seen: false };
    const label = at.getAttribute("aria-label") ?? at.labels?.[0]?.querySelector("span")?.textContent ?? at.labels?.[0]?.textContent ?? at.textContent;
    const ring = (element) => element && getComputedStyle(element).outlineStyle !== "none" && parseFloat(getComputedStyle(element).outlineWidth) >= 2;
    const box = at.getBoundingClientRect();
    const inside = box.right > 0 && box.bottom > 0 && box.left < innerWidth && box.top < innerHeight;
    const name = (at.dataset.key === "name" ? at.querySelector(".text").textContent : label).replace(/\s+/g, " ").trim();
    return { name, seen: inside && (ring(at) || ring(at.nextElementSibling)) };
  });
}

const fits = (name, wanted) => (typeof wanted === "string" ? name === wanted : wanted.test(name));

/** Waits until the focus is there: it moves when the answer has come. */
async function focusIs(page, wanted) {
  for (const end = Date.now() + 10_000; ; ) {
    const { name, seen } = await focus(page);
    if (fits(name, wanted) && seen) return;
    expect(Date.now() < end, `the focus is seen at ${wanted}, not ${seen ? "" : "unseen "}at ${name}`);
    await page.evaluate(() => new Promise(requestAnimationFrame));
  }
}

/** Tab, until it is there; every stop on the way is seen. */
async function tabTo(page, wanted) {
  const stops = [];
  while (stops.length < MOST_STOPS) {
    await page.keyboard.press("Tab");
    const { name, seen } = await focus(page);
    // Past the last stop the focus is the browser's own.
    expect(seen || name === "(the page)", `the focus is seen at ${name}`);
    if (fits(name, wanted)) return;
    stops.push(name);
  }
  expect(false, `Tab reaches ${wanted}; it stops at ${stops.join(" | ")}`);
}

/** Into the timeline, to the name at the beginning of a row: up to the first, and down until it is there. */
async function toRow(page, name) {
  for (let stops = 0; !(await page.evaluate(() => Boolean(document.activeElement?.closest("[data-row]")))); stops += 1) {
    expect(stops < MOST_STOPS, "Tab reaches the timeline");
    await page.keyboard.press("Tab");
  }
  for (const key of ["Home", "PageUp"]) await page.keyboard.press(key);
  let last;
  for (let rows = 0; ; rows += 1) {
    const at = (await focus(page)).name;
    if (at === name) break;
    expect(rows < MOST_STOPS, `the arrow reaches the row of ${name}`);
    // Rows may have changed places meanwhile.
    await page.keyboard.press(at === last ? "PageUp" : "ArrowDown");
    last = at;
  }
  await focusIs(page, name);
}

/** The right arrow, until it is there. */
async function arrowTo(page, wanted) {
  const stops = [];
  while (stops.length < MOST_STOPS) {
    await page.keyboard.press("ArrowRight");
    const { name, seen } = await focus(page);
    expect(seen, `the focus is seen at ${name}`);
    if (fits(name, wanted)) return;
    expect(stops.at(-1) !== name, `the arrow reaches ${wanted}; it stops at ${stops.join(" | ")}`);
    stops.push(name);
  }
}
