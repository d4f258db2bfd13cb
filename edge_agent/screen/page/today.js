// Everybody of today, from the journal: filter, void, who has not eaten, and the summary to print and to export.

import { $, nameWords, sessionName, showFailure, t } from "/page/desk.js";
import { element } from "/page/feed.js";
import { guestsName, payerName } from "/page/guests.js";
import { ENTRY_REASONS, GUEST_REASONS, PAPER_REASONS } from "/page/reasons.js";
import { request } from "/page/request.js";
import { enterPerson } from "/page/search.js";
import { fillSheet, saveTable } from "/page/summary.js";
import { requestVoid, showVoided } from "/page/voiding.js";

const FILTER_DELAY_MS = 200;
const REFRESH_MS = 3000; // between two looks at the journal while children pass

let board = null;
let wanted = null; // ids of the people whom the filter means; null: everybody
let meal = ""; // the session that is shown; "": all
let onlyWaiting = false;
let filterTimer = 0;
let refreshTimer = 0;
let readMs = 0;

const isShown = () => !$("by-today").hidden && !$("desk").hidden;

export function startToday() {
  $("today-filter").addEventListener("input", () => {
    clearTimeout(filterTimer);
    filterTimer = setTimeout(applyFilter, FILTER_DELAY_MS);
  });
  $("today-all").addEventListener("click", () => chooseList(false));
  $("today-waiting").addEventListener("click", () => chooseList(true));
  $("today-print").addEventListener("click", () => { fillSheet($("sheet"), board); window.print(); });
  $("today-save").addEventListener("click", () => saveTable(board));
}

function chooseList(waiting) {
  onlyWaiting = waiting;
  drawToday();
}

// Reads the day anew where it is on the screen: at once, or after a while when children pass in a row.
export function refreshToday({ atOnce = true } = {}) {
  if (!isShown() || (refreshTimer && !atOnce)) return;
  clearTimeout(refreshTimer);
  refreshTimer = setTimeout(readDay, atOnce ? 0 : Math.max(0, readMs + REFRESH_MS - Date.now()));
}

export function forgetToday() {
  clearTimeout(refreshTimer);
  refreshTimer = 0;
  board = wanted = null; // no name of the last shift stays on the screen
  meal = "";
  $("today-filter").value = "";
  for (const id of ["today-meals", "today-rows", "sheet"]) $(id).replaceChildren();
}

async function readDay() {
  refreshTimer = 0;
  readMs = Date.now();
  const response = await request("/staff/today");
  if (!response.ok) {
    showFailure(response);
    return;
  }
  board = response.body;
  drawToday();
}

async function applyFilter() {
  const text = $("today-filter").value.trim();
  const response = text ? await request("/staff/find", { text }) : { ok: true, body: null };
  if (text !== $("today-filter").value.trim()) return; // the text has changed since
  if (!response.ok) {
    showFailure(response);
    return;
  }
  wanted = response.body && new Set(response.body.map((person) => person.person));
  drawToday();
}

export function drawToday() {
  if (!board) return;
  if (!board.sessions.some(({ session }) => session === meal)) meal = "";
  $("today-all").setAttribute("aria-pressed", String(!onlyWaiting));
  $("today-waiting").setAttribute("aria-pressed", String(onlyWaiting));
  $("today-meals").replaceChildren(...board.sessions.map(mealItem));
  const rows = onlyWaiting ? waitingRows() : entryRows();
  $("today-rows").replaceChildren(...(rows.length ? rows : [element("li", "hint", t("staff.today.nobody"))]));
}

function mealItem(session) {
  const item = document.createElement("li");
  const { eaten, guests, waiting } = session;
  const values = { name: sessionName(session), number: eaten, waiting: waiting.length, guests };
  const button = element("button", "", t(guests ? "staff.today.meal_guests" : "staff.today.meal", values));
  button.setAttribute("aria-pressed", String(session.session === meal));
  button.addEventListener("click", () => {
    meal = session.session === meal ? "" : session.session;
    drawToday();
  });
  item.append(button);
  return item;
}

function entryRows() {
  const mine = board.rows.filter((row) => (!meal || row.session === meal) && (!wanted || wanted.has(row.person)));
  return mine.map(entryRow);
}

function entryRow(row) {
  const item = element("li", row.voided ? "voided" : "");
  const details = element("div", "");
  details.append(
    element("span", "name", rowName(row)), " ", element("span", "group", row.group), " ",
    element("span", "time", row.at),
    element("div", "why", [wayWords(row), machineWords(row), reasonWords(row), row.operator].filter(Boolean).join(" · ")),
  );
  item.append(details);
  if (row.voided) item.append(element("span", "time", t("staff.taken_back")));
  else item.append(actButton(t("staff.take_back"), rowName(row), () => voidRow(row)));
  return item;
}

function waitingRows() {
  const meals = board.sessions.filter(({ session }) => !meal || session === meal);
  return meals.flatMap((session) => session.waiting
    .filter((person) => !wanted || wanted.has(person.person))
    .map((person) => waitingRow(person, session)));
}

function waitingRow(person, session) {
  const item = element("li", "");
  const details = element("div", "");
  details.append(
    element("span", "name", nameWords(person)), " ", element("span", "group", person.group),
    element("div", "why", sessionName(session)),
  );
  item.append(details, actButton(t("staff.today.enter"), person.name, async () => {
    await enterPerson(person);
    refreshToday();
  }));
  return item;
}

function actButton(words, name, act) {
  const button = element("button", "quiet", words);
  button.setAttribute("aria-label", `${words}: ${name}`);
  button.addEventListener("click", act);
  return button;
}

async function voidRow(row) {
  const named = [wayWords(row), machineWords(row)].filter(Boolean).join(" · ");
  const response = await requestVoid({ ...row, name: rowName(row), named });
  if (response === null) return;
  showVoided(response, rowName(row));
  $("today-filter").focus();
  refreshToday();
}

const rowName = (row) => (row.guests ? guestsName(row) : row.name || t("reason.unknown_person"));
const wayWords = (row) => (row.guests ? row.payer && payerName(row.payer) : t(`staff.today.method.${row.method}`));

// Why a machine named this person: how alike the palm was, and the rule that a person should weigh.
function machineWords({ score, rule }) {
  const words = [score ? t("staff.today.agreement", { number: Math.floor(score / 100) }) : "", rule ? t(`reason.${rule}`) : ""];
  return words.filter(Boolean).join(" · ");
}

function reasonWords({ guests, method, reason }) {
  const [codes, kind] = guests ? [GUEST_REASONS, "guests.why"]
    : method === "paper" ? [PAPER_REASONS, "paper.why"] : [ENTRY_REASONS, "by_hand"];
  return codes.includes(reason) ? t(`staff.${kind}.${reason}`) : reason;
}
