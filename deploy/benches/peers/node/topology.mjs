// The broker as all three programs see it: an exchange, a quorum queue for the workers, a stream for the
// notifiers.
import amqp from "amqplib";

export const EXCHANGE = "node-peer.events";
export const QUEUE = "node-peer.availability-worker";
export const STREAM = "node-peer.notifier";

/** A channel with confirms on which everything is declared. A lost connection ends the program. */
export async function channel() {
  const connection = await amqp.connect(process.env.AMQP_URL, { noDelay: true });
  connection.on("close", () => process.exit(1));
  const channel = await connection.createConfirmChannel();
  await channel.assertExchange(EXCHANGE, "topic", { durable: true });
  await channel.assertQueue(QUEUE, { durable: true, arguments: { "x-queue-type": "quorum" } });
  await channel.bindQueue(QUEUE, EXCHANGE, "schedule.updated.v1.#");
  await channel.assertQueue(STREAM, { durable: true, arguments: { "x-queue-type": "stream" } });
  await channel.bindQueue(STREAM, EXCHANGE, "schedule.updated.v1.#");
  await channel.bindQueue(STREAM, EXCHANGE, "availability.updated.v1.#");
  return channel;
}

/** Publishes an event and resolves on its confirm. */
export function publish(channel, key, text) {
  return new Promise((resolve, reject) => {
    const options = { persistent: true, contentType: "application/cloudevents+json" };
    channel.publish(EXCHANGE, key, Buffer.from(text), options, (error) => (error ? reject(error) : resolve()));
  });
}

/** A CloudEvents envelope around `data`. */
export function envelope(id, type, source, data) {
  return JSON.stringify({
    specversion: "1.0",
    id,
    type,
    source,
    subject: data.contractorId,
    time: new Date().toISOString(),
    datacontenttype: "application/json",
    data,
  });
}

/** Host and port to listen on. */
export function address() {
  const [host, port] = process.env.BIND_ADDR.split(":");
  return { host, port: Number(port) };
}
