// Every view, in light, dark and narrow: axe finds nothing, and a picture is kept of each.
import { contractor, call, dispatcher, expect, live, run, violations } from "./desk.mjs";

const { BOARD_PICTURES: pictures } = process.env;
const territory = `looks-${Date.now().toString(36)}`;
/** The day of the job, tomorrow when the test began; midnight may pass before the last look. */
const day = new Date(Date.now() + 86_400_000).toLocaleDateString("en-CA", { timeZone: "Europe/London" });
const toJob = async (page) => {
  if ((await page.locator("input.date").inputValue()) !== day) await page.getByRole("button", { name: "Later", exact: true }).click();
};

const VIEWS = {
  day: async () => {},
  week: async (page) => page.getByLabel("Week").check(),
  theirs: async (page) => page.getByLabel("Their clock").check(),
  asked: async (page) => {
    await page.getByRole("tab", { name: "Ask" }).click();
    await page.getByLabel("Day", { exact: true }).last().waitFor();
    await page.getByRole("button", { name: "Tomorrow morning" }).click();
    await page.getByRole("button", { name: "Find who is free" }).click();
    await page.locator(".found li, .summary").first().waitFor();
    await page.getByRole("button", { name: "Find who is free", disabled: false }).waitFor();
  },
  conflicts: async (page) => page.getByRole("tab", { name: /Conflicts/ }).click(),
  changes: async (page) => page.getByRole("tab", { name: "Changes" }).click(),
  booking: async (page) => {
    await page.locator(".name").first().click();
    await page.getByRole("button", { name: "Book a job" }).click();
  },
  contractor: async (page) => page.locator(".name").first().click(),
  "time off": async (page) => {
    await page.locator(".name").first().click();
    await page.getByRole("radio", { name: "Time off" }).check();
  },
  job: async (page) => {
    await toJob(page);
    await page.locator(".job").first().press("Enter");
  },
  moving: async (page) => {
    await toJob(page);
    await page.locator(".job").first().press("m");
    await page.keyboard.press("Shift+ArrowLeft");
    await page.locator(".ghost").waitFor();
  },
  help: async (page) => page.getByRole("button", { name: "Help and keys" }).click(),
  settings: async (page) => page.getByRole("button", { name: "Settings" }).click(),
};

const LOOKS = {
  light: { colorScheme: "light" },
  dark: { colorScheme: "dark" },
  narrow: { colorScheme: "light", viewport: { width: 400, height: 820 } },
};

run(async () => {
  const found = [];
  for (const [look, options] of Object.entries(LOOKS)) {
    const { page, close } = await dispatcher({ reducedMotion: "reduce", ...options });
    await live(page);
    if (look === "light") {
      const id = await contractor(page, "Ada Byron", territory);
      await call(page, `/contractors/${id}/jobs`, { body: { title: "Boiler service", start: `${day}T20:00:00Z`, end: `${day}T21:00:00Z` } });
    }
    await page.locator(".row").first().waitFor();
    for (const [view, open] of Object.entries(VIEWS)) {
      // The board keeps what was chosen in the view before.
      await page.evaluate(() => localStorage.clear());
      await page.reload();
      await live(page);
      await page.locator(".row").first().waitFor();
      await open(page);
      for (const violation of await violations(page)) found.push(`${look}, ${view}: ${violation}`);
      if (pictures) await page.screenshot({ path: `${pictures}/${look}-${view.replace(" ", "-")}.png` });
    }
    await close();
  }
  expect(found.length === 0, found.join("\n"));
});
