// Owns the schedules: one transaction holds the change and its outbox row; the event is published from
// memory once that has committed, and its row deleted on the broker's confirm.
import { randomUUID } from "node:crypto";
import Fastify from "fastify";
import pg from "pg";
import { address, channel as connect, envelope, publish } from "./topology.mjs";

const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL, max: 16 });
await pool.query(`
  CREATE SCHEMA IF NOT EXISTS node_peer;
  CREATE TABLE IF NOT EXISTS node_peer.schedules (
    contractor_id uuid PRIMARY KEY, version bigint NOT NULL, document jsonb NOT NULL);
  CREATE TABLE IF NOT EXISTS node_peer.outbox (
    event_id uuid PRIMARY KEY, routing_key text NOT NULL, body text NOT NULL)`);
const broker = await connect();

const SELECT = {
  name: "select",
  text: "SELECT version, document FROM node_peer.schedules WHERE contractor_id = $1 FOR UPDATE",
};
const UPDATE = {
  name: "update",
  text: "UPDATE node_peer.schedules SET version = $2, document = $3 WHERE contractor_id = $1",
};
const INSERT = {
  name: "insert",
  text: "INSERT INTO node_peer.outbox (event_id, routing_key, body) VALUES ($1, $2, $3)",
};
const DELETE = { name: "delete", text: "DELETE FROM node_peer.outbox WHERE event_id = ANY($1)" };

let confirmed = [];
let deleting = false;

/** Deletes all that was confirmed meanwhile, one statement at a time. */
async function forget(id) {
  confirmed.push(id);
  if (deleting) return;
  deleting = true;
  while (confirmed.length > 0) {
    const ids = confirmed;
    confirmed = [];
    await pool.query({ ...DELETE, values: [ids] });
  }
  deleting = false;
}

function send({ id, key, body }) {
  publish(broker, key, body).then(() => forget(id));
}

// What an earlier run left behind.
for (const row of (await pool.query("SELECT event_id, routing_key, body FROM node_peer.outbox")).rows) {
  send({ id: row.event_id, key: row.routing_key, body: row.body });
}

/** One transaction on a connection of its own. */
async function transaction(work) {
  const client = await pool.connect();
  try {
    await client.query("BEGIN");
    const result = await work(client);
    await client.query("COMMIT");
    return result;
  } catch (error) {
    await client.query("ROLLBACK");
    throw error;
  } finally {
    client.release();
  }
}

async function record(client, schedule, updatedFields, previousValues) {
  const id = randomUUID();
  const { contractorId, version, updatedAt } = schedule;
  const data = { contractorId, updatedFields, previousValues, timestamp: updatedAt, version, schedule };
  data.currentValues = Object.fromEntries(updatedFields.map((field) => [field, schedule[field]]));
  const body = envelope(id, "rosterwire.schedule.updated.v1", "/schedule-service", data);
  const key = `schedule.updated.v1.${schedule.territory}`;
  await client.query({ ...INSERT, values: [id, key, body] });
  return { id, key, body };
}

function refusal(status, title) {
  return Object.assign(new Error(title), { statusCode: status });
}

const app = Fastify();

app.post("/v1/contractors", async (request, reply) => {
  const rules = { bufferBeforeMinutes: 30, bufferAfterMinutes: 30 };
  const { jobs, ...rest } = request.body;
  const schedule = {
    status: "active",
    dateOverrides: [],
    timeOff: [],
    bookingRules: { slotIntervalMinutes: 30, minNoticeMinutes: 0, ...rules },
    ...rest,
    jobs: jobs.map((job) => ({ id: randomUUID(), ...job, ...rules })),
    version: 1,
    updatedAt: new Date().toISOString(),
  };
  const event = await transaction(async (client) => {
    await client.query("INSERT INTO node_peer.schedules VALUES ($1, 1, $2)", [schedule.contractorId, schedule]);
    return record(client, schedule, Object.keys(rest).sort(), {});
  });
  send(event);
  return reply.code(201).header("etag", '"1"').send(schedule);
});

app.patch("/v1/contractors/:id/schedule", async (request, reply) => {
  const changed = await transaction(async (client) => {
    const { rows } = await client.query({ ...SELECT, values: [request.params.id] });
    if (rows.length === 0) throw refusal(404, "no such contractor");
    const version = Number(rows[0].version);
    if (request.headers["if-match"] !== `"${version}"`) throw refusal(412, "another version");
    const before = rows[0].document;
    const updated = Object.keys(request.body).filter(
      (field) => JSON.stringify(before[field]) !== JSON.stringify(request.body[field]),
    );
    if (updated.length === 0) return { schedule: before };
    const schedule = { ...before, ...request.body, version: version + 1, updatedAt: new Date().toISOString() };
    await client.query({ ...UPDATE, values: [request.params.id, schedule.version, schedule] });
    const previous = Object.fromEntries(updated.map((field) => [field, before[field]]));
    return { schedule, event: await record(client, schedule, updated.sort(), previous) };
  });
  if (changed.event) send(changed.event);
  return reply.header("etag", `"${changed.schedule.version}"`).send(changed.schedule);
});

await app.listen(address());
