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
  await american.close();
});
