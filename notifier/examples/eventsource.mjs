// Follows the stream with npm's `eventsource`: node eventsource.mjs http://localhost:8082
// Prints one line of JSON for each event.
import { EventSource } from "eventsource";

const [base] = process.argv.slice(2);
const source = new EventSource(`${base}/v1/events`);

for (const name of ["ready", "schedule.updated", "availability.updated", "reset"]) {
  source.addEventListener(name, (event) => {
    const { version } = JSON.parse(event.data);
    console.log(JSON.stringify({ event: event.type, id: event.lastEventId, version }));
  });
}

// It reconnects by itself after a cut or an end, with the id of the last event. Only an answer that
// is no stream is final: 429 and 503 say in Retry-After when to come again.
source.onerror = (error) => {
  if (source.readyState === EventSource.CLOSED) {
    console.error(`refused: ${error.code ?? error.message}`);
    process.exit(1);
  }
};
