// The technician's page: readers and their last refusals, the last readings, the kiosk's facts, and a day in graphs.

import { $, drawWords, spokenLanguage, t } from "/page/desk.js";
import { element } from "/page/feed.js";
import { request } from "/page/request.js";

const REFRESH_MS = 5000;
let shown = null; // the agent's last account

const clock = (utc) => new Date(utc).toLocaleTimeString(spokenLanguage(), { hour12: false });

function drawReader(reader) {
  const item = element("li", reader.there ? "" : "away", "");
  item.append(
    element("span", "name", reader.name), ` ${reader.driver}: `,
    t(reader.there ? "status.present" : "status.away"), ". ",
    t("status.counts", { readings: reader.readings, faults: reader.faults }),
  );
  const refusal = reader.refusal;
  const why = reader.why || (refusal && `${clock(refusal.time)} (${refusal.count}): ${refusal.what}`);
  if (why) {
    const words = element("p", "hint", why);
    words.lang = "en"; // the driver's sentence, for the technician
    item.append(words);
  }
  return item;
}

function drawFacts({ status, free_mib: free, versions }) {
  const checked = status.journal.checked;
  const facts = {
    clock: t(`health.clock.${status.clock}`),
    disk: t("status.free", { number: free }),
    queue: status.journal.queue,
    chain: checked ? t(checked.whole ? "status.whole" : "status.broken", { number: checked.rows }) : t("status.unchecked"),
    ledger: status.ledger ? `${status.ledger.state}. ${status.ledger.why}` : t("health.ledger.none"),
    roster: t("status.version", { version: status.roster.version, people: status.roster.people }),
    versions: Object.entries(versions).map(([name, version]) => `${name} ${version}`).join(", "),
  };
  $("facts").replaceChildren(...Object.entries(facts).flatMap(([key, words]) => [
    element("dt", "", t(`status.fact.${key}`)), element("dd", "", String(words)),
  ]));
}

// One line of values over the day, from zero to the largest.
function drawGraph(key, values) {
  const figure = document.createElement("figure");
  const most = Math.max(0, ...values);
  const points = values.map((value, place) => `${(place / Math.max(1, values.length - 1)) * 100},${40 - (value / Math.max(1, most)) * 38}`);
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 100 40");
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", t(`status.graph.${key}`, { number: most }));
  const line = document.createElementNS(svg.namespaceURI, "polyline");
  line.setAttribute("points", points.join(" "));
  svg.append(line);
  figure.append(svg, element("figcaption", "hint", t(`status.graph.${key}`, { number: most })));
  return figure;
}

function drawDay(day) {
  const rises = (of) => day.map((sample, place) => Math.max(0, of(sample) - (place ? of(day[place - 1]) : of(sample))));
  $("graphs").replaceChildren(
    drawGraph("readings", rises((sample) => sample.readings)),
    drawGraph("faults", rises((sample) => sample.faults)),
    drawGraph("queue", day.map((sample) => sample.queue)),
    drawGraph("disk", day.map((sample) => sample.free_mib)),
  );
}

function draw() {
  drawWords(draw);
  if (!shown) return;
  $("readers").replaceChildren(...[...shown.status.readers, ...shown.status.indicators].map(drawReader));
  $("readings").replaceChildren(...shown.last_readings.map((reading) => element(
    "li", "", [clock(reading.at), reading.reader, t(`status.kind.${reading.kind}`), reading.reason].filter(Boolean).join(" · "),
  )));
  drawFacts(shown);
  drawDay(shown.day);
}

async function refresh() {
  const response = await request("/staff/status");
  if (response.ok) shown = response.body;
  $("shut").hidden = response.ok || response.why === "unreachable";
  $("status").hidden = !response.ok && !(shown && response.why === "unreachable");
  draw();
  setTimeout(refresh, REFRESH_MS);
}

refresh();
