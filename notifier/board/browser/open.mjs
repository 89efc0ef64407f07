// Where access is off the board says so; and its page runs nothing but its own files.
import { dispatcher, expect, live, run } from "./desk.mjs";

const WARNINGS = [
  ["en-GB", "Access control is off"],
  ["de-DE", "Die Zugriffskontrolle ist aus"],
];

run(async () => {
  for (const [locale, words] of WARNINGS) {
    const { page, close } = await dispatcher({ locale });
    await live(page);
    await page.getByRole("status").filter({ hasText: words }).waitFor();
    const ran = await page.evaluate(() => {
      const script = document.createElement("script");
      script.textContent = "globalThis.ran = true";
      document.head.append(script);
      return globalThis.ran === true;
    });
    expect(!ran, "no inline script runs");
    await close();
  }
});
