"use strict";

// The key is behind the #: browsers keep that to themselves, and this page sends it to its own server alone, in a header.
const EVERY = 10_000;
const key = location.hash.slice(1);
const at = (id) => document.getElementById(id);

let tag = null;
let vehicle = null;
let newest = null;

const number = (value, digits = 0) =>
  value === null || value === undefined ? null : value.toLocaleString(undefined, { maximumFractionDigits: digits });

const UNITS = { degC: "°C", deg: "°" };

function amount(reading, name, digits = 0) {
  const value = number(reading?.values[name], digits);
  const unit = reading?.units[name];
  return value === null ? null : unit ? `${value} ${UNITS[unit] ?? unit}` : value;
}

function span(seconds) {
  const minutes = Math.floor(seconds / 60);
  if (minutes < 1) return "just now";
  if (minutes < 60) return `${minutes} min ago`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours} h ago` : `${Math.floor(hours / 24)} days ago`;
}

function ask(path, headers = {}) {
  return fetch(path, { headers: { Authorization: `Bearer ${key}`, ...headers }, credentials: "omit", cache: "no-store" });
}

function tell(notice) {
  at("notice").textContent = notice;
  at("notice").hidden = !notice;
}

function card(title, rows) {
  const shown = rows.filter(([, value]) => value !== null && value !== undefined);
  if (!shown.length) return null;
  const section = document.createElement("section");
  section.className = "card";
  const heading = document.createElement("h2");
  heading.textContent = title;
  const list = document.createElement("dl");
  for (const [name, value] of shown) {
    const term = document.createElement("dt");
    term.textContent = name;
    const detail = document.createElement("dd");
    detail.append(value);
    list.append(term, detail);
  }
  section.append(heading, list);
  return section;
}

function position(location) {
  const { latitude, longitude } = location?.values ?? {};
  if (latitude == null || longitude == null) return null;
  const link = document.createElement("a");
  link.href = `geo:${latitude},${longitude}`;
  link.textContent = `${latitude.toFixed(5)}, ${longitude.toFixed(5)}`;
  return link;
}

function charging(state) {
  const charges = ["charging", "topoff", "heating"].includes(state.values.charge_state);
  const power = charges ? amount(state, "charge_power", 1) : null;
  const left = charges && state.values.time_to_full > 0 ? `full in ${Math.floor(state.values.time_to_full / 60)} h ` +
    `${state.values.time_to_full % 60} min` : null;
  const word = state.values.charge_state || "not charging";
  at("charging").textContent = [word[0].toUpperCase() + word.slice(1), power, left].filter(Boolean).join(" · ");
  at("charging").dataset.on = charges ? "yes" : "no";
}

function battery(state) {
  at("battery").hidden = !state;
  if (!state) return;
  const soc = state.values.soc;
  at("soc").textContent = number(soc) ?? "–";
  at("level").style.width = `${Math.min(100, Math.max(0, soc ?? 0))}%`;
  at("level").dataset.level = soc < 10 ? "empty" : soc < 25 ? "low" : "good";
  at("range").textContent = amount(state, "estimated_range") ?? amount(state, "ideal_range") ?? "–";
  charging(state);
}

function tyres(record) {
  if (!record) return null;
  return card("Tyres", [["front_left", "Front left"], ["front_right", "Front right"], ["rear_left", "Rear left"],
    ["rear_right", "Rear right"]].map(([wheel, name]) => [name, amount(record, `${wheel}_pressure`, 1)]));
}

function show({ records }) {
  const { state, environment, location, four_tyres: wheels } = records;
  battery(state);
  const cards = [
    card("Vehicle", [
      ["Locked", { 4: "yes", 5: "no" }[environment?.values.lock_state] ?? null],
      ["Odometer", amount(environment, "odometer")],
      ["Parked for", environment?.values.parking_time > 0 ? span(environment.values.parking_time).replace(" ago", "") : null],
      ["12 V battery", amount(environment, "voltage_12v", 1)],
    ]),
    card("Temperatures", [
      ["Battery", amount(environment, "battery_temperature")],
      ["Cabin", amount(environment, "cabin_temperature")],
      ["Outside", amount(environment, "ambient_temperature")],
    ]),
    card("Where it is", [["Position", position(location)], ["Speed", amount(location, "speed")]]),
    tyres(wheels),
  ];
  at("details").replaceChildren(...cards.filter(Boolean));
  newest = Math.max(...Object.values(records).map((record) => Date.parse(record.received_at)));
  tell(Number.isFinite(newest) ? "" : "The vehicle has not reported yet.");
}

function presence(found) {
  vehicle = found;
  at("name").textContent = document.title = found.id;
  at("presence").textContent = found.connected ? "connected" : "not connected";
  at("presence").dataset.on = found.connected ? "yes" : "no";
}

async function update() {
  const listed = await ask("/api/v1/vehicles");
  if (listed.status === 401) return false;
  if (!listed.ok) throw new Error(listed.status);
  const [found] = (await listed.json()).items;
  if (!found) return false;
  presence(found);
  const answer = await ask(`/api/v1/vehicles/${encodeURIComponent(vehicle.id)}/state`, tag ? { "If-None-Match": tag } : {});
  if (answer.status === 401 || answer.status === 404) return false;
  if (answer.status !== 304) {
    if (!answer.ok) throw new Error(answer.status);
    tag = answer.headers.get("ETag");
    show(await answer.json());
  }
  at("age").textContent = Number.isFinite(newest) ? `Reported ${span((Date.now() - newest) / 1000)}` : "";
  return true;
}

function end() {
  vehicle = newest = null;
  at("name").textContent = "Vehicle";
  at("presence").textContent = at("age").textContent = "";
  at("battery").hidden = true;
  at("details").replaceChildren();
  tell("This link has ended, or was never complete. Ask its sender for a new one.");
}

async function run() {
  let goesOn = true;
  try {
    goesOn = await update();
    if (!goesOn) end();
  } catch {
    tell("The server does not answer; this page goes on trying.");
  }
  if (goesOn) setTimeout(run, EVERY);
}

addEventListener("hashchange", () => location.reload());
if (/^[0-9a-f]{64}$/.test(key)) run();
else end();
