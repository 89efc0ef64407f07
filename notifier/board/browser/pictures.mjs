// The two pictures of the README, of a running demo: node browser/pictures.mjs FOLDER
import { dispatcher, live, run } from "./desk.mjs";

const folder = process.argv[2] ?? ".";

run(async () => {
  const day = await dispatcher({ viewport: { width: 1440, height: 760 } });
  await live(day.page);
  await day.page.getByLabel("In your words, or below").fill("1 hour tomorrow morning with plumbing");
  await day.page.getByRole("button", { name: "Find who is free" }).click();
  await day.page.locator(".found li").first().waitFor();
  await day.page.locator(".row .free").first().waitFor();
  await day.page.screenshot({ path: `${folder}/board.png` });
  await day.close();

  const week = await dispatcher({ viewport: { width: 1440, height: 760 }, colorScheme: "dark" });
  await live(week.page);
  await week.page.getByLabel("3 days").check();
  await week.page.getByLabel("Their clock").check();
  await week.page.getByRole("tab", { name: "Changes" }).click();
  await week.page.locator("[role=log] li").nth(6).waitFor();
  await week.page.screenshot({ path: `${folder}/board-dark.png` });
  await week.close();
});
