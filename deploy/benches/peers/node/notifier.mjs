// Reads the stream and writes each event to every client.
import { createServer } from "node:http";
import { address, channel as connect, STREAM } from "./topology.mjs";

const clients = new Set();

const broker = await connect();
await broker.prefetch(500);
await broker.consume(
  STREAM,
  (message) => {
    const { type, data } = JSON.parse(message.content);
    // Clients apply the difference: the schedule stays out.
    const { schedule, ...rest } = data;
    const offset = message.properties.headers["x-stream-offset"];
    const name = type === "rosterwire.schedule.updated.v1" ? "schedule.updated" : "availability.updated";
    const frame = Buffer.from(`id: ${offset}\nevent: ${name}\ndata: ${JSON.stringify(rest)}\n\n`);
    for (const client of clients) client.write(frame);
    broker.ack(message);
  },
  { arguments: { "x-stream-offset": "next" } },
);

createServer((request, answer) => {
  if (!request.url.startsWith("/v1/events")) {
    answer.end("ready\n");
    return;
  }
  request.socket.setNoDelay(true);
  answer.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-cache" });
  answer.write("retry: 2000\n\nevent: ready\ndata: {}\n\n");
  clients.add(answer);
  answer.on("close", () => clients.delete(answer));
}).listen(address());
