/** The one stream of the browser, in a worker that its tabs share. */
import { Keeper } from "./keeper";
import type { Asked, Told } from "./messages";

const tabs = new Set<MessagePort>();
const keeper = new Keeper("/v1/events", (told) => {
  for (const tab of tabs) tab.postMessage(told);
});

addEventListener("connect", (event) => {
  const tab = (event as MessageEvent).ports[0];
  if (!tab) return;
  tab.onmessage = ({ data }: MessageEvent<Asked>): void => {
    switch (data.ask) {
      case "begin":
        tabs.add(tab);
        keeper.begin(data.automatic);
        tab.postMessage({ tell: "link", link: keeper.link } satisfies Told);
        break;
      case "wake":
        keeper.wake();
        break;
      case "leave":
        tabs.delete(tab);
        break;
    }
  };
});
