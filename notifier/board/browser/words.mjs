// Another language, another clock.
import { dispatcher, expect, live, run } from "./desk.mjs";

run(async () => {
  const german = await dispatcher({ locale: "de-DE", timezoneId: "Europe/Berlin" });
  await live(german.page);
  await german.page.getByRole("button", { name: "Wer ist frei?" }).waitFor();
  expect((await german.page.locator("html").getAttribute("lang")) === "de", "the page says its language");
  await german.close();

  const american = await dispatcher({ locale: "en-US", timezoneId: "America/New_York" });
  await live(american.page);
  await american.page.getByText(/Last event .*[AP]M|No event yet/).waitFor();
  await american.page.locator(".hour", { hasText: /[AP]M/ }).first().waitFor();

  // What is chosen counts for more, and is kept.
  await american.page.getByRole("button", { name: "Settings" }).click();
  await american.page.locator("#settings").getByLabel(/^Clock/).selectOption("24");
  await american.page.locator("#settings").getByLabel(/^(Language|Sprache)/).selectOption("de");
  await american.page.reload();
  await american.page.getByRole("button", { name: "Wer ist frei?" }).waitFor();
  await american.page.locator(".hour", { hasText: /^\d\d/ }).first().waitFor();
  expect((await american.page.locator(".hour", { hasText: /[AP]M/ }).count()) === 0, "the clock has 24 hours");
  await american.close();
});
