// Follows the stream with `@microsoft/fetch-event-source`, which can send headers:
// node fetch_event_source.mjs http://localhost:8082
// Prints one line of JSON for each event.

// It is made for browsers, and asks for these two.
globalThis.window ??= globalThis;
globalThis.document ??= { hidden: false, addEventListener() {}, removeEventListener() {} };

const module = await import("@microsoft/fetch-event-source");
const { fetchEventSource, EventStreamContentType } = module.default ?? module;
const [base] = process.argv.slice(2);
let wait = 2000;

await fetchEventSource(`${base}/v1/events`, {
  openWhenHidden: true,
  async onopen(response) {
    wait = 1000 * Number(response.headers.get("retry-after") ?? 2);
    const type = response.headers.get("content-type") ?? "";
    if (!response.ok || !type.startsWith(EventStreamContentType)) throw new Error(response.status);
  },
  onmessage(message) {
    // It tells of blocks without data too: `retry`, and ids that only move on.
    if (!message.data) return;
    const { version } = JSON.parse(message.data);
    console.log(JSON.stringify({ event: message.event, id: message.id, version }));
  },
  // Without this, the end of a stream would be the end of following it.
  onclose() {
    throw new Error("the stream has ended");
  },
  onerror() {
    return wait;
  },
});
