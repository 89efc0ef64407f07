"use strict";
const form = document.querySelector("#filters");
const signIn = document.querySelector("#sign-in");
const state = form.querySelector("output");
const rows = document.querySelector("tbody");
const MOST_ROWS = 200;
let source;

for (const [name, value] of new URLSearchParams(location.search)) {
  const field = form.elements[name];
  if (field) field.value = field.value ? `${field.value} ${value}` : value;
}

function show(event) {
  const row = rows.insertRow(0);
  const cells = [new Date().toISOString().slice(11, 23), event.type, event.lastEventId, event.data];
  for (const text of cells) row.insertCell().textContent = text;
  if (rows.rows.length > MOST_ROWS) rows.deleteRow(-1);
}

function follow() {
  const query = new URLSearchParams();
  for (const [name, value] of new FormData(form)) {
    for (const word of value.split(/[\s,]+/).filter(Boolean)) query.append(name, word);
  }
  history.replaceState(null, "", `?${query}`);
  source?.close();
  source = new EventSource(`/v1/events?${query}`);
  source.onopen = () => { state.value = "connected"; };
  source.onerror = () => {
    if (source.readyState !== EventSource.CLOSED) { state.value = "reconnecting"; return; }
    state.value = "refused: see the filters";
    enter();
  };
  for (const name of ["ready", "schedule.updated", "availability.updated", "reset"]) {
    source.addEventListener(name, show);
  }
}

// The token goes into a cookie that this page cannot read.
const post = (path, body) => fetch(path, {
  method: "POST",
  headers: body ? { "content-type": "application/json" } : {},
  body: body && JSON.stringify(body),
});

// True once somebody is signed in; else the form asks for a token.
async function enter() {
  const known = (await fetch("/v1/session")).status !== 401 || (await post("/v1/session/automatic")).ok;
  signIn.hidden = known;
  if (!known) state.value = "sign in first";
  return known;
}

form.addEventListener("submit", (event) => { event.preventDefault(); follow(); });
signIn.addEventListener("submit", async (event) => {
  event.preventDefault();
  const answer = await post("/v1/session", { token: signIn.elements.token.value.trim() });
  signIn.querySelector("output").value = answer.ok ? "" : (await answer.json()).detail;
  if (!answer.ok) return;
  signIn.reset();
  signIn.hidden = true;
  follow();
});
enter().then((known) => { if (known) follow(); });
