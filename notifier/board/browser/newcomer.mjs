// Somebody who has never seen the board books the first free plumber tomorrow morning: by what is written on
// it alone, without a word of how it works.
import { contractor, dispatcher, expect, live, run } from "./desk.mjs";

const territory = `newcomer-${Date.now().toString(36)}`;
/** As many as a minute leaves time for, at ten seconds each to look and to think. */
const MOST_STEPS = 6;

run(async () => {
  const { page, close } = await dispatcher();
  await live(page);
  await contractor(page, "Ada Byron", territory, { skills: ["plumbing"], workingHours: hours("11:00") });
  await contractor(page, "Bob Noyce", territory, { skills: ["plumbing"], workingHours: hours("09:00") });
  await contractor(page, "Cai Lun", territory, { skills: ["painting"], workingHours: hours("07:00") });
  await page.locator(".row .free").nth(2).waitFor();

  await byForm(page);
  await page.reload();
  await live(page);
  await inWords(page);
  await close();
});

function hours(start) {
  return [{ days: ["MO", "TU", "WE", "TH", "FR", "SA", "SU"], start, end: "24:00" }];
}

/** What is clicked or typed, each found by what is written there and seen without looking for it. */
function hands(page) {
  let steps = 0;
  const take = async (what) => {
    steps += 1;
    expect(await what.isVisible(), `step ${steps}: ${what} is in sight`);
    return what;
  };
  return {
    click: async (what) => (await take(what)).click(),
    choose: async (what, option) => (await take(what)).selectOption(option),
    type: async (what, text) => (await take(what)).fill(text),
    steps: () => steps,
  };
}

async function byForm(page) {
  const { click, choose, type, steps } = hands(page);
  await click(page.getByRole("button", { name: "Tomorrow morning" }));
  await choose(page.getByLabel("Skills"), "plumbing");
  await click(page.getByRole("button", { name: "Find who is free" }));
  await booked(page, click, type, "Bob Noyce", "Leaking tap");
  console.log(`by the form in ${steps()} steps`);
  expect(steps() <= MOST_STEPS, `a newcomer books in ${MOST_STEPS} steps, not ${steps()}`);
}

async function inWords(page) {
  const { click, type, steps } = hands(page);
  await type(page.getByLabel("In your words, or below"), "first free plumber tomorrow morning");
  await click(page.getByRole("button", { name: "Find who is free" }));
  await booked(page, click, type, "Bob Noyce", "Blocked sink");
  console.log(`in words in ${steps()} steps`);
  expect(steps() < MOST_STEPS, `in words it is less than by the form, not ${steps()}`);
}

/** The first of the answer, by its own button. */
async function booked(page, click, type, name, title) {
  const first = page.getByRole("listitem").filter({ hasText: name });
  await first.waitFor();
  expect((await page.locator(".found li").count()) === 2, "the painter is not among them");
  expect((await page.locator(".found li").first().innerText()).includes(name), "who is free first comes first");
  await click(first.getByRole("button", { name: /^Book/ }));
  await type(page.getByLabel("What is to be done"), title);
  await click(page.getByRole("button", { name: "Book", exact: true }));
  await page.getByText(`${title} is booked with ${name}`).waitFor();
  await page.locator(".job", { hasText: title }).waitFor();
}
