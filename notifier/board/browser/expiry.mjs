// A token that ends: the board says so, and goes on where it was once somebody has signed in again.
import { ask, contractor, DEADLINE, expect, live, run, browser, violations } from "./desk.mjs";

const { BOARD_URL } = process.env;

run(async () => {
  const own = await browser();
  const context = await own.newContext({ locale: "en-GB", timezoneId: "Europe/London" });
  const page = await context.newPage();
  page.setDefaultTimeout(DEADLINE);
  await page.goto(BOARD_URL);
  await page.getByLabel("Access token").fill("no token");
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByText("This token is not accepted").waitFor();
  await accessible(page);
  await page.getByLabel("Access token").fill(await ask("token 10s"));
  await page.getByRole("button", { name: "Sign in" }).click();
  await live(page);
  await page.getByLabel("In your words, or below").fill("half typed");
  await page.locator(`[data-row="${await contractor(page, "Ada Byron", "expiry")}"] .name`).click();
  await page.getByRole("button", { name: "Book a job" }).click();
  await page.getByLabel("What is to be done").fill("half a title");

  await live(page, "Signed out");
  await page.locator(".scroller.stale").waitFor();
  await accessible(page);
  await page.getByLabel("Access token").fill(await ask("token 1h"));
  await page.getByRole("button", { name: "Sign in" }).click();
  await live(page);
  expect((await page.getByLabel("What is to be done").inputValue()) === "half a title", "what was typed stays, in the dialog too");
  await page.keyboard.press("Escape");
  expect((await page.getByLabel("In your words, or below").inputValue()) === "half typed", "what was typed stays");

  // No room for one more stream: the board waits as it is told, and says that it is not live.
  const reader = await browser();
  const other = await (await reader.newContext({ locale: "en-GB" })).newPage();
  other.setDefaultTimeout(DEADLINE);
  await other.goto(BOARD_URL);
  await other.getByLabel("Access token").fill(await ask("token 1h"));
  await other.getByRole("button", { name: "Sign in" }).click();
  await live(other, "Connecting");
  await own.close();
  await live(other);
  await reader.close();
});

async function accessible(page) {
  const found = await violations(page);
  expect(found.length === 0, found.join("\n"));
}
