// Two dispatchers in two browsers: each sees what the other does, within a second.
import { call, contractor, dispatcher, expect, live, run, violations } from "./desk.mjs";

const territory = `acts-${Date.now().toString(36)}`;

run(async () => {
  const [a, b] = await Promise.all([dispatcher(), dispatcher()]);
  const [one, other] = [a.page, b.page];
  const asked = new Set();
  for (const page of [one, other]) page.on("request", (request) => asked.add(new URL(request.url()).pathname));
  await Promise.all([live(one), live(other)]);
  const ada = await contractor(one, "Ada Byron", territory);
  const bob = await contractor(one, "Bob Noyce", territory, { skills: ["boiler", "gas"] });
  for (const page of [one, other]) {
    await page.getByRole("banner").getByLabel("Territory").selectOption(territory);
    await page.getByRole("button", { name: "Later" }).click();
    await page.locator(`[data-row="${ada}"] .free`).first().waitFor();
  }
  const job = (page, who, title) => page.locator(`[data-row="${who}"] .job`, { hasText: title });

  // Asked in words, answered with the earliest first, booked by form.
  await one.getByLabel("In your words, or below").fill(`2 hours tomorrow morning in ${territory} with gas`);
  await one.getByRole("button", { name: "Find who is free" }).click();
  const found = one.locator(".found li");
  await found.nth(1).waitFor();
  expect((await found.first().innerText()).startsWith("08:00"), "the earliest comes first");
  await found.first().getByRole("button", { name: /^Book/ }).click();
  await one.getByLabel("What is to be done").fill("Boiler service");
  const title = await one.locator("dialog select").first().inputValue();
  const clicked = Date.now();
  await one.getByRole("button", { name: "Book", exact: true }).click();
  await job(other, title, "Boiler service").waitFor();
  const delay = Date.now() - clicked;
  console.log(`the other dispatcher sees a booking after ${delay} ms`);
  expect(delay < 1000, `a booking shows to the other within a second, not after ${delay} ms`);
  // The answer follows by itself, and leaves the timeline as the dispatcher has it.
  await found.nth(1).waitFor({ state: "detached" });
  await one.getByRole("button", { name: "Show everybody" }).click();
  await one.getByRole("button", { name: "Today", exact: true }).click();
  const date = await one.getByRole("banner").locator("input[type=date]").inputValue();

  // Undone, and done again.
  await one.getByRole("button", { name: "Undo" }).click();
  await job(other, title, "Boiler service").waitFor({ state: "detached" });
  await found.nth(1).waitFor();
  expect((await one.getByRole("button", { name: "Show everybody" }).count()) === 0, "everybody stays shown");
  expect((await one.getByRole("banner").locator("input[type=date]").inputValue()) === date, "the day stays as it was chosen");
  await one.getByRole("button", { name: "Later" }).click();
  const at = async (page, who, hour) => {
    const track = page.locator(`[data-track="${who}"]`);
    const box = await track.boundingBox();
    return { x: box.x + (box.width * hour) / 24, y: box.y + box.height / 2 };
  };
  const drag = async (page, from, to) => {
    await page.mouse.move(from.x, from.y);
    await page.mouse.down();
    await page.mouse.move((from.x + to.x) / 2, (from.y + to.y) / 2);
    await page.mouse.move(to.x, to.y);
    await page.mouse.up();
  };

  // Drawn on the timeline: the form knows who and when. Booked, and undone.
  await drag(one, await at(one, ada, 18.02), await at(one, ada, 19.02));
  expect((await one.getByLabel("Start (London)").inputValue()) === "18:00", "drawn from 18:00");
  await one.getByLabel("What is to be done").fill("Drawn");
  await one.getByRole("button", { name: "Book", exact: true }).click();
  await job(other, ada, "Drawn").and(other.getByRole("button", { name: /18:00–19:00/ })).waitFor();
  await one.getByRole("button", { name: "Undo" }).click();
  await job(other, ada, "Drawn").waitFor({ state: "detached" });
  const day = await one.locator("input.date").inputValue();
  const book = (who, start, end, name) =>
    call(one, `/contractors/${who}/jobs`, { body: { title: name, start: `${day}T${start}:00Z`, end: `${day}T${end}:00Z`, bufferBeforeMinutes: 0, bufferAfterMinutes: 0 } });
  await book(ada, "10:00", "12:00", "Valve");
  await job(other, ada, "Valve").waitFor();

  // Dragged to another person.
  await drag(other, await at(other, ada, 11), await at(other, bob, 13));
  await job(one, bob, "Valve").waitFor();
  await job(one, ada, "Valve").waitFor({ state: "detached" });

  // Opened before its move is answered: the dialog waits, and then knows the schedule as it is.
  let answer;
  const answered = new Promise((resolve) => (answer = resolve));
  await one.route("**/v1/jobs/**", async (route) => {
    await answered;
    await route.continue();
  });
  await drag(one, await at(one, bob, 13), await at(one, bob, 12));
  await job(one, bob, "Valve").and(one.getByRole("button", { name: /11:00–13:00/ })).click();
  expect((await one.locator("dialog").count()) === 0, "the dialog waits for the answer");
  answer();
  await one.getByLabel("Start (London)").waitFor();
  expect((await one.getByLabel("Start (London)").inputValue()) === "11:00", "the dialog is about the job as it is now");
  await one.unroute("**/v1/jobs/**");
  await one.getByRole("button", { name: "Close" }).last().click();

  // The form's truth: who has the slot, and nothing typed is lost.
  await one.locator(`[data-row="${bob}"] .name`).click();
  await one.getByRole("button", { name: "Book a job" }).click();
  await one.getByLabel("What is to be done").fill("Typed with care");
  await one.getByLabel("Start (London)").fill("12:30");
  await one.getByRole("button", { name: "Book", exact: true }).click();
  await one.getByText(/Bob Noyce has another job then: Valve.*booked by/).waitFor();
  const poor = await violations(one);
  expect(poor.length === 0, poor.join("\n"));
  expect((await one.getByLabel("What is to be done").inputValue()) === "Typed with care", "what was typed stays");
  await one.getByLabel("Start (London)").fill("15:00");
  await one.getByRole("button", { name: "Book", exact: true }).click();
  await job(other, bob, "Typed with care").waitFor();

  // Cancelled by the other.
  await job(other, bob, "Typed with care").click();
  await other.getByRole("button", { name: "Cancel the job" }).click();
  await job(one, bob, "Typed with care").waitFor({ state: "detached" });

  // Hours: in words to the other. A schedule that changed meanwhile is told, and saved on the second word.
  await one.locator(`[data-row="${ada}"] .name`).click();
  await one.getByLabel("To, Tuesday").fill("15:00");
  await call(other, `/contractors/${ada}/schedule`, { method: "PATCH", body: { skills: ["gas", "oil"] }, headers: { "if-match": "*" } });
  await one.getByRole("button", { name: "Save hours" }).click();
  await one.getByText(/Somebody else has changed this schedule/).waitFor();
  await one.getByRole("button", { name: "Save hours" }).click();
  await other.getByRole("tab", { name: "Changes" }).click();
  await other.getByText("Ada Byron's Tuesday now ends 15:00, was 17:00").waitFor();

  // One day.
  await one.locator(`[data-row="${ada}"] .name`).click();
  await one.getByLabel("One day").check();
  await one.getByRole("button", { name: /^Remove the window/ }).first().click();
  await one.getByRole("button", { name: "Save this day" }).click();
  await other.getByText(/Ada Byron's .* alone: free/).waitFor();
  await other.locator(`[data-row="${ada}"] .override`).waitFor();

  // Time off over a job strands it; the panel says so, and who else can take it.
  await call(one, `/contractors/${ada}/date-overrides/${day}`, { method: "DELETE" });
  await one.locator(`[data-row="${bob}"] .name`).click();
  await one.getByRole("radio", { name: "Time off" }).check();
  await one.getByRole("button", { name: "Add time off" }).click();
  await other.getByRole("tab", { name: /Conflicts/ }).click();
  const stranded = other.locator("section.panel > ul > li", { hasText: "Bob Noyce" });
  await stranded.getByText("in time off").waitFor();
  await job(other, bob, "Valve").and(other.locator(".conflict")).waitFor();
  await stranded.getByRole("button", { name: "Who else can take it?" }).click();
  await stranded.getByRole("button", { name: /Ada Byron/ }).first().click();
  await other.getByRole("button", { name: "Save" }).click();
  await job(one, ada, "Valve").waitFor();
  await stranded.waitFor({ state: "detached" });

  // The keyboard alone: to a free window, and booked.
  await one.locator(`[data-row="${ada}"] .name`).focus();
  await one.keyboard.press("ArrowRight");
  expect(await one.evaluate(() => document.activeElement?.matches(".block")), "the arrow goes to what stands in the row");
  await one.keyboard.press("Enter");
  await one.locator("dialog").waitFor();
  await one.keyboard.press("Escape");
  await one.locator("dialog").waitFor({ state: "detached" });
  const others = [...asked].filter((path) => !/^\/(v1\/.+|assets\/.+|board\.json)?$/.test(path));
  expect(others.length === 0, `the public routes suffice, without ${others}`);
  await Promise.all([a.close(), b.close()]);
});
