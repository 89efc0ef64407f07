// What goes wrong comes right by itself, and nothing stale is shown as if it were fresh.
import { call, contractor, dispatcher, expect, ask, live, run, violations, wire } from "./desk.mjs";

const { BOARD_URL, WIRE_PORT } = process.env;
const territory = "recovery";

run(async () => {
  const line = wire(Number(WIRE_PORT), new URL(BOARD_URL));
  const far = await dispatcher({ url: `http://127.0.0.1:${WIRE_PORT}/` });
  const near = await dispatcher();
  await Promise.all([live(far.page), live(near.page)]);
  const ada = await contractor(near.page, "Ada Byron", territory);
  const name = far.page.locator(`[data-row="${ada}"] .name .text`);
  await name.waitFor();
  const rename = (to) => call(near.page, `/contractors/${ada}/schedule`, { method: "PATCH", body: { name: to }, headers: { "if-match": "*" } });
  const shows = (to) => far.page.locator(`[data-row="${ada}"] .name .text`, { hasText: to }).waitFor();
  await rename("Ada One");
  await shows("Ada One");

  // The connection is cut; what changes meanwhile comes when it is back.
  line.cut();
  await live(far.page, "Reconnecting");
  await far.page.locator(".scroller.stale").waitFor();
  const found = await violations(far.page);
  expect(found.length === 0, found.join("\n"));
  await rename("Ada Two");
  line.mend();
  await live(far.page);
  await shows("Ada Two");
  expect((await far.page.locator(".scroller.stale").count()) === 0, "live again, nothing is marked");

  // The network is dead without anybody having closed anything, as after sleep.
  line.silence();
  await live(far.page, "Reconnecting");
  await rename("Ada Three");
  line.cut();
  line.mend();
  await live(far.page);
  await shows("Ada Three");

  // The notifier goes, and comes back.
  await ask("stop notifier");
  await Promise.all([far, near].map(({ page }) => live(page, "Reconnecting")));
  await rename("Ada Four");
  await ask("restart notifier");
  await Promise.all([far, near].map(({ page }) => live(page)));
  await shows("Ada Four");

  // Two tabs share one stream.
  const second = await near.page.context().newPage();
  await second.goto(BOARD_URL);
  await live(second);
  await second.locator(`[data-row="${ada}"]`).waitFor();
  expect((await ask("count streams")) === "2", "one stream for each browser, however many tabs");

  // The stream was made anew under everybody: all is read again.
  await ask("forget stream");
  await rename("Ada Five");
  await shows("Ada Five");
  await live(far.page);
  await Promise.all([far.close(), near.close()]);
  line.close();
});
