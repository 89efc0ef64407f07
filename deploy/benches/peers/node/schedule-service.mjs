// Owns the schedules: one statement, guarded by the version, writes the change and its outbox row; the event
// is published from memory once that has committed, and its row deleted on the broker's confirm. pg sends one
// statement at a time over a connection, so a transaction of four would cost three more round trips.
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
  text: "SELECT version, document FROM node_peer.schedules WHERE contractor_id = $1",
};
const CREATE = {
  name: "create",
  text: `WITH created AS (INSERT INTO node_peer.schedules VALUES ($1, $2, $3))
    INSERT INTO node_peer.outbox VALUES ($4, $5, $6)`,
};
const UPDATE = {
  name: "update",
  text: `WITH changed AS (
      UPDATE node_peer.schedules SET version = $2, document = $3
      WHERE contractor_id = $1 AND version = $2 - 1 RETURNING 1)
    INSERT INTO node_peer.outbox SELECT $4, $5, $6 FROM changed`,
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

/** Writes a schedule and the event of its change; no event where somebody else was faster. */
async function write(statement, schedule, updatedFields, previousValues) {
  const id = randomUUID();
  const { contractorId, version, updatedAt } = schedule;
  const data = { contractorId, updatedFields, previousValues, timestamp: updatedAt, version, schedule };
  data.currentValues = Object.fromEntries(updatedFields.map((field) => [field, schedule[field]]));
  const body = envelope(id, "rosterwire.schedule.updated.v1", "/schedule-service", data);
  const key = `schedule.updated.v1.${schedule.territory}`;
  const values = [contractorId, version, JSON.stringify(schedule), id, key, body];
  const { rowCount } = await pool.query({ ...statement, values });
  return rowCount === 1 ? { id, key, body } : undefined;
}

function refusal(status, title) {
  return Object.assign(new Error(title), { statusCode: status });
}

// Its connections stand still while another subject is measured.
const app = Fastify({ keepAliveTimeout: 600_000 });

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
  const event = await write(CREATE, schedule, Object.keys(rest).sort(), {});
  send(event);
  return reply.code(201).header("etag", '"1"').send(schedule);
});

app.patch("/v1/contractors/:id/schedule", async (request, reply) => {
  const { rows } = await pool.query({ ...SELECT, values: [request.params.id] });
  if (rows.length === 0) throw refusal(404, "no such contractor");
  const version = Number(rows[0].version);
  if (request.headers["if-match"] !== `"${version}"`) throw refusal(412, "another version");
  const before = rows[0].document;
  const updated = Object.keys(request.body).filter(
    (field) => JSON.stringify(before[field]) !== JSON.stringify(request.body[field]),
  );
  let schedule = before;
  if (updated.length > 0) {
    schedule = { ...before, ...request.body, version: version + 1, updatedAt: new Date().toISOString() };
    const previous = Object.fromEntries(updated.map((field) => [field, before[field]]));
    const event = await write(UPDATE, schedule, updated.sort(), previous);
    if (!event) throw refusal(412, "another version");
    send(event);
  }
  return reply.header("etag", `"${schedule.version}"`).send(schedule);
});

await app.listen(address());
