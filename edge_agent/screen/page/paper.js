// Printed lists: print them before the electricity fails, and enter them afterwards.

import { $, nameWords, sessionName, showFailure, showOutcome, t } from "/page/desk.js";
import { element } from "/page/feed.js";
import { confirmReason, PAPER_REASONS } from "/page/reasons.js";
import { request } from "/page/request.js";

const CODES_DELAY_MS = 400;

let list = null; // the answer of the agent: {day, session, since, until, sessions, rows, wrong}
let ticked = new Set();
let typedBefore = new Set(); // whose codes stood there before: who was unticked since stays so
let asked = 0;
let timer = 0;
let hoursOf = ""; // the meal whose hours stand in the fields

export function startPaper() {
  for (const id of ["paper-day", "paper-meal", "paper-group"]) {
    $(id).addEventListener("change", () => {
      if (id === "paper-group") $("paper-codes").value = "";
      $("paper-list").hidden = true; // of another class or meal: nobody ticks it by mistake
      $("paper-rows").replaceChildren();
      ticked.clear();
      typedBefore.clear();
      readList();
    });
  }
  $("paper-codes").addEventListener("input", () => {
    clearTimeout(timer);
    $("paper-group").value = "";
    timer = setTimeout(readList, CODES_DELAY_MS);
  });
  $("paper-all").addEventListener("click", () => {
    for (const row of list.rows) if (!row.at) ticked.add(row.person);
    drawPaper();
  });
  $("paper-print").addEventListener("click", () => { fillPaper($("sheet")); window.print(); });
  $("paper-do").addEventListener("click", enterPaper);
}

export function forgetPaper() {
  list = null;
  hoursOf = "";
  ticked.clear();
  typedBefore.clear();
  $("paper-codes").value = "";
  for (const id of ["paper-rows", "paper-group", "sheet"]) $(id).replaceChildren();
  $("paper-list").hidden = true;
}

export async function refreshPaper() {
  const response = await request("/staff/groups");
  if (!response.ok) return;
  const chosen = $("paper-group").value;
  $("paper-group").replaceChildren(new Option("", ""), ...response.body.map((name) => new Option(name, name)));
  $("paper-group").value = chosen;
  await readList();
}

async function readList() {
  clearTimeout(timer);
  const codes = $("paper-codes").value.trim();
  const wanted = { day: $("paper-day").value, session: $("paper-meal").value, group: $("paper-group").value, codes };
  const number = ++asked;
  const response = await request("/staff/paper/list", wanted);
  if (number !== asked) return; // something else is wanted since
  if (!response.ok) {
    showFailure(response);
    return;
  }
  list = response.body;
  const present = new Set(list.rows.filter((row) => !row.at).map((row) => row.person));
  const typed = codes ? [...present] : [];
  const fresh = typed.filter((person) => !typedBefore.has(person)); // whose code is typed has eaten
  typedBefore = new Set(typed);
  ticked = new Set([...ticked, ...fresh].filter((person) => present.has(person)));
  $("paper-day").value = list.day;
  drawPaper();
}

const session = () => list.sessions.find((each) => each.session === list.session);

export function drawPaper() {
  if (!list) return;
  $("paper-meal").replaceChildren(...list.sessions.map((each) => new Option(`${sessionName(each)} (${each.starts}–${each.ends})`, each.session)));
  $("paper-meal").value = list.session;
  $("paper-no-meal").hidden = list.sessions.length > 0;
  const hours = `${list.day} ${list.session}`;
  if (session() && hoursOf !== hours) {
    hoursOf = hours;
    $("paper-since").value = list.since;
    $("paper-until").value = list.until;
  }
  $("paper-wrong").hidden = list.wrong.length === 0;
  $("paper-wrong").textContent = t("staff.paper.wrong", { codes: list.wrong.join(", ") });
  $("paper-list").hidden = list.rows.length === 0;
  $("paper-rows").replaceChildren(...list.rows.map(personItem));
  drawReady();
}

function personItem(row) {
  const item = element("li", "");
  const label = element("label", "tick");
  const box = document.createElement("input");
  box.type = "checkbox";
  box.checked = Boolean(row.at) || ticked.has(row.person);
  box.disabled = Boolean(row.at);
  box.addEventListener("change", () => {
    if (box.checked) ticked.add(row.person);
    else ticked.delete(row.person);
    drawReady();
  });
  label.append(box, element("span", "name", nameWords(row)), element("span", "group", `${row.code} ${row.at}`));
  item.append(label);
  return item;
}

function drawReady() {
  $("paper-do").textContent = t("staff.paper.enter", { number: ticked.size });
  $("paper-do").disabled = !session() || (ticked.size === 0 && list.rows.some((row) => !row.at));
  $("paper-all").disabled = list.rows.every((row) => row.at);
  $("paper-print").disabled = !$("paper-group").value;
}

// Of a list that was entered before nobody is left to tick.
async function enterPaper() {
  const group = $("paper-group").value;
  const people = [...ticked];
  const already = list.rows.filter((row) => row.at).length;
  const [day, since, until] = [list.day, $("paper-since").value, $("paper-until").value];
  const name = group || list.rows.map((row) => row.name).slice(0, 3).join(", ");
  if (ticked.size === 0) {
    showOutcome("staff.paper.again", { already });
    return;
  }
  const who = t("staff.paper.sure", { name, day, since, until, number: people.length });
  const reason = await confirmReason("staff.paper.confirm", who, "paper.why", PAPER_REASONS);
  if (reason === null) return;
  const response = await request("/staff/paper/enter", { day, session: list.session, group, since, until, people, reason });
  if (!response.ok) {
    showFailure(response);
    return;
  }
  const entered = response.body.rows;
  ticked.clear();
  await readList();
  showOutcome(entered ? "staff.paper.entered" : "staff.paper.again", { number: entered, already: already + people.length - entered });
}

// A page of A4 for a class: boxes to tick, codes, and blanks for date, meal and time.
function fillPaper(sheet) {
  const blanks = element("p", "blanks");
  const meals = list.sessions.map((each) => `☐ ${sessionName(each)}`).join("  ") || "________________";
  for (const [key, blank] of [["day", ""], ["meal", meals], ["hours", ""], ["written_by", ""]]) {
    blanks.append(element("span", "", `${t(`staff.paper.${key}`)}: ${blank || "________________"}   `));
  }
  const rows = element("table", "paper");
  for (const row of list.rows) {
    const line = document.createElement("tr");
    line.append(element("td", "box", "☐"), element("td", "code", row.code), element("td", "", nameWords(row)));
    rows.append(line);
  }
  sheet.replaceChildren(element("h1", "", `${t("staff.paper.sheet")} · ${$("paper-group").value}`), blanks, rows);
}
