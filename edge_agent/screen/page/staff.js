// The staff's page: the last children, the kiosk's health, and acts by hand.

import * as count from "/page/count.js";
import { drawHealth, drawNotices, drawReaders, element, rowId } from "/page/feed.js";
import { request } from "/page/request.js";
import { follow } from "/page/stream.js";
import { LANGUAGES, translate } from "/page/words.js";

const ENTRY_REASONS = ["forgot_card", "lost_card", "palm_unread", "new_pupil", "reader_down"];
const VOID_REASONS = ["wrong_person", "did_not_eat", "twice"];
const CLOCK_REASONS = ["compared", "set_since"];
const FIND_DELAY_MS = 200;
const $ = (id) => document.getElementById(id);

let language = localStorage.getItem("canteen-language") ?? "kk";
if (!LANGUAGES.includes(language)) language = LANGUAGES[0];
let session = { on: false, operator: "", operators: [] };
let view = null;
let receivedMs = 0;
let offsetMin = 0;
let outcome = null; // {key, values, failed}: drawn again when the language changes
let wrongClocks = []; // of terminals, whose rows are held
let saidClocks = ""; // as they stand on the page
const voidedRows = new Set();

const t = (key, values) => translate(language, key, values);

function clock(ageS) {
  return new Date(receivedMs - ageS * 1000 + offsetMin * 60000).toISOString().slice(11, 16);
}

const clockAt = (unixS) => new Date(unixS * 1000 + offsetMin * 60000).toISOString().slice(11, 16);

function drawWords() {
  document.documentElement.lang = language;
  for (const labelled of document.querySelectorAll("[data-t]")) labelled.textContent = t(labelled.dataset.t);
  $("languages").replaceChildren(...LANGUAGES.map((choice) => {
    const button = element("button", "", choice.toUpperCase());
    button.setAttribute("aria-pressed", String(choice === language));
    button.addEventListener("click", () => {
      language = choice;
      localStorage.setItem("canteen-language", choice);
      draw();
    });
    return button;
  }));
}

function draw() {
  drawWords();
  drawView();
  drawCount();
  drawOutcome();
  const signedIn = session.operator !== "";
  $("off").hidden = session.on;
  $("sign-in").hidden = !session.on || signedIn;
  $("desk").hidden = !signedIn;
  $("who").hidden = !signedIn;
  $("operator").textContent = session.operator;
  $("operators").replaceChildren(...session.operators.map((name) => {
    const option = document.createElement("option");
    option.value = name;
    return option;
  }));
}

function drawView() {
  if (!view) return;
  drawHealth($("health"), view.health, language);
  $("readers").hidden = view.readers.length === 0;
  drawReaders($("reader-list"), view.readers, language, clockAt);
  drawClocks();
  $("feed-empty").hidden = view.notices.length > 0;
  $("feed-nameless").hidden = view.named || view.notices.length === 0;
  drawNotices($("feed"), view, language, clock, voidedRows, session.operator ? voidEntry : null);
}

function sayClock({ terminal, offset_s: offsetS, rows }) {
  const minutes = Math.round(Math.abs(offsetS) / 60);
  const values = { terminal, hours: Math.floor(minutes / 60), minutes: minutes % 60, number: rows };
  return offsetS > 0 ? t("staff.clocks.ahead", values) : t("staff.clocks.behind", values);
}

function drawClocks() {
  $("clocks").hidden = wrongClocks.length === 0;
  // Drawn anew only where it differs: a click on a button that is replaced meanwhile is lost.
  const said = JSON.stringify([language, wrongClocks]);
  if (said === saidClocks) return;
  saidClocks = said;
  $("clock-list").replaceChildren(...wrongClocks.map((wrong) => choiceItem(sayClock(wrong), "", () => confirmClock(wrong))));
}

function drawCount() {
  $("count").hidden = !(count.isCounting() || (view && !view.recording));
  $("count-number").textContent = count.countNumber();
  $("count-names").replaceChildren(...count.waitingPeople().map((person) => {
    const item = element("li", "", "");
    item.append(element("span", "", `${person.name} ${person.group}`));
    const button = element("button", "quiet", t("staff.count.enter"));
    button.disabled = !session.operator;
    button.addEventListener("click", () => enterPerson(person));
    item.append(button);
    return item;
  }));
}

function drawOutcome() {
  $("outcome").textContent = outcome ? t(outcome.key, outcome.values) : "";
  $("outcome").className = outcome?.failed ? "failed" : "";
}

function showOutcome(key, values = {}, failed = false) {
  outcome = { key, values, failed };
  drawOutcome();
  $("outcome").scrollIntoView({ block: "nearest" });
}

function showFailure({ why, wait }) {
  showOutcome(`staff.why.${why}`, { number: wait }, true);
  if (why === "signed_out") refreshSession();
}

async function refreshSession() {
  const response = await request("/staff/session");
  if (response.ok) session = response.body;
  if (session.operator) {
    await drawGroups();
    await refreshClocks();
  } else {
    wrongClocks = []; // no name of the last shift stays on the screen
    $("people").replaceChildren();
    $("groups").replaceChildren();
    $("find").value = "";
  }
  draw();
}

// ---- Signing in and out.

$("sign-in").addEventListener("submit", async (event) => {
  event.preventDefault();
  const response = await request("/staff/sign-in", { pin: $("sign-pin").value, operator: $("sign-operator").value });
  $("sign-pin").value = "";
  if (!response.ok) {
    showFailure(response);
    return;
  }
  outcome = null;
  await refreshSession();
  stream.reopen(); // the new stream has names
  $("find").focus();
});

$("sign-out").addEventListener("click", async () => {
  await request("/staff/sign-out", {});
  outcome = null;
  await refreshSession();
  stream.reopen();
});

// ---- Entries by hand: one person, or a class.

function chooseTab(tab) {
  for (const name of ["person", "class"]) {
    $(`tab-${name}`).setAttribute("aria-selected", String(name === tab));
    $(`by-${name}`).hidden = name !== tab;
  }
}
$("tab-person").addEventListener("click", () => chooseTab("person"));
$("tab-class").addEventListener("click", () => chooseTab("class"));

let findTimer = 0;
$("find").addEventListener("input", () => {
  clearTimeout(findTimer);
  findTimer = setTimeout(findPeople, FIND_DELAY_MS);
});

async function findPeople() {
  const text = $("find").value.trim();
  if (!text) {
    $("people").replaceChildren();
    return;
  }
  const response = await request("/staff/find", { text });
  if (text !== $("find").value.trim()) return; // the text has changed since
  if (!response.ok) {
    showFailure(response);
    return;
  }
  if (response.body.length === 0) $("people").replaceChildren(element("li", "hint", t("staff.nobody")));
  else $("people").replaceChildren(...response.body.map((person) => choiceItem(person.name, person.group, () => enterPerson(person))));
}

async function drawGroups() {
  const response = await request("/staff/groups");
  if (response.ok) $("groups").replaceChildren(...response.body.map((group) => choiceItem(group, "", () => enterClass(group))));
}

function choiceItem(words, group, onChoose) {
  const item = document.createElement("li");
  const button = element("button", "");
  if (group) button.append(element("span", "group", group));
  button.append(element("span", "", words));
  button.addEventListener("click", onChoose);
  item.append(button);
  return item;
}

async function enterPerson(person) {
  const reason = await confirmReason("staff.confirm_person", `${person.name}  ${person.group}`, "by_hand", ENTRY_REASONS);
  if (reason === null) return;
  const response = await request("/staff/enter", { person: person.person, reason });
  if (response.ok) {
    count.removeWaiting(person.person);
    $("find").value = "";
    $("people").replaceChildren();
    showOutcome("staff.entered", { name: person.name });
    return;
  }
  if (response.why === "not_recorded") count.addWaiting(person.person, person.name, person.group);
  showFailure(response);
}

async function enterClass(group) {
  const reason = await confirmReason("staff.confirm_class", group, "by_hand", ENTRY_REASONS);
  if (reason === null) return;
  const response = await request("/staff/class", { group, reason });
  if (response.ok) showOutcome("staff.entered_class", { name: group, number: response.body.rows });
  else showFailure(response);
}

async function refreshClocks() {
  const response = await request("/staff/clocks");
  wrongClocks = response.ok ? response.body : [];
}

async function confirmClock(wrong) {
  const reason = await confirmReason("staff.confirm_clock", sayClock(wrong), "clock_checked", CLOCK_REASONS);
  if (reason === null) return;
  const response = await request("/staff/clock", { run: wrong.run, reason });
  if (response.ok) showOutcome("staff.clock_confirmed", { terminal: wrong.terminal, number: response.body.rows });
  else showFailure(response);
  await refreshClocks();
  drawView();
}

async function voidEntry(notice) {
  const { staff } = notice;
  const reason = await confirmReason("staff.confirm_void", `${staff.name}  ${staff.group}`, "taken_back", VOID_REASONS);
  if (reason === null) return;
  const response = await request("/staff/void", { epoch: staff.entry_epoch, seq: staff.entry_seq, reason });
  if (response.ok || response.why === "already_void") voidedRows.add(rowId(staff));
  if (response.ok) showOutcome("staff.voided", { name: staff.name });
  else showFailure(response);
  drawView();
}

// ---- The dialog before each act. Resolves to the chosen reason, or to null.

function confirmReason(title, who, kind, codes) {
  const dialog = $("confirm");
  let chosen = "";
  $("confirm-title").textContent = t(title);
  $("confirm-who").textContent = who;
  $("own-reason").value = "";
  const buttons = codes.map((code) => {
    const button = element("button", "", t(`staff.${kind}.${code}`));
    button.type = "button";
    button.setAttribute("role", "radio");
    button.addEventListener("click", () => { $("own-reason").value = ""; pickReason(code); });
    return button;
  });
  function pickReason(code) {
    chosen = code;
    buttons.forEach((button, index) => button.setAttribute("aria-checked", String(codes[index] === code)));
    $("confirm-do").disabled = !chosen;
  }
  $("reasons").replaceChildren(...buttons);
  $("own-reason").oninput = () => {
    const own = $("own-reason").value.trim();
    pickReason("");
    chosen = own;
    $("confirm-do").disabled = !own;
  };
  pickReason("");
  dialog.showModal();
  return new Promise((resolve) => {
    const closeWith = (reason) => { dialog.close(); resolve(reason); };
    $("confirm-do").onclick = () => closeWith(chosen);
    $("confirm-cancel").onclick = () => closeWith(null);
    dialog.oncancel = () => closeWith(null);
    dialog.firstElementChild.onsubmit = (event) => { // the Enter key in the text field confirms, if there is a reason
      event.preventDefault();
      if (chosen) closeWith(chosen);
    };
  });
}

// ---- The count by hand.

$("count-more").addEventListener("click", () => count.changeCount(1));
$("count-less").addEventListener("click", () => count.changeCount(-1));
$("count-clear").addEventListener("click", () => {
  const sure = $("count-clear").dataset.t === "staff.count.clear_sure";
  $("count-clear").dataset.t = sure ? "staff.count.clear" : "staff.count.clear_sure"; // one wrong touch must not lose the count
  if (sure) count.clearCount();
  drawWords();
});

// ---- The stream from the agent.

chooseTab("person");
count.startCount(drawCount);
draw();
refreshSession();
const stream = follow("/events/staff", {
  onState: (next) => {
    const wasNamed = view?.named;
    const hasNews = session.operator && JSON.stringify(view?.readers) !== JSON.stringify(next.readers);
    view = next;
    receivedMs = Date.now();
    drawView();
    drawCount();
    if (wasNamed && !next.named && session.operator) refreshSession(); // the session has ended
    else if (hasNews) refreshClocks().then(drawView);
  },
  onHeartbeat: (heartbeat) => {
    const moved = heartbeat.utc_offset_min !== offsetMin;
    offsetMin = heartbeat.utc_offset_min;
    if (moved) drawView();
  },
  onLink: (up) => {
    $("offline").hidden = up;
    if (up) refreshSession();
  },
});
