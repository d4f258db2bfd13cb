// The staff's page: what happened, how the kiosk is, and what can be done by hand.

import { ask } from "/page/ask.js";
import * as count from "/page/count.js";
import { element, health, notices, rowId } from "/page/feed.js";
import { follow } from "/page/stream.js";
import { LANGUAGES, say } from "/page/words.js";

const BY_HAND = ["forgot_card", "lost_card", "palm_unread", "new_pupil", "reader_down"];
const TAKEN_BACK = ["wrong_person", "did_not_eat", "twice"];
const FIND_AFTER_MS = 200;
const $ = (id) => document.getElementById(id);

let language = localStorage.getItem("canteen-language") ?? "kk";
if (!LANGUAGES.includes(language)) language = LANGUAGES[0];
let session = { on: false, operator: "", operators: [] };
let view = null;
let receivedMs = 0;
let offsetMin = 0;
let outcome = null; // {key, values, failed}: said again in another language when that is chosen
const takenBack = new Set();

const t = (key, values) => say(language, key, values);

function clock(ageS) {
  return new Date(receivedMs - ageS * 1000 + offsetMin * 60000).toISOString().slice(11, 16);
}

function drawWords() {
  document.documentElement.lang = language;
  for (const place of document.querySelectorAll("[data-t]")) place.textContent = t(place.dataset.t);
  $("languages").replaceChildren(...LANGUAGES.map((one) => {
    const button = element("button", "", one.toUpperCase());
    button.setAttribute("aria-pressed", String(one === language));
    button.addEventListener("click", () => {
      language = one;
      localStorage.setItem("canteen-language", one);
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
  health($("health"), view.health, language);
  $("feed-empty").hidden = view.notices.length > 0;
  $("feed-nameless").hidden = view.named || view.notices.length === 0;
  notices($("feed"), view, language, clock, takenBack, session.operator ? takeBack : null);
}

function drawCount() {
  $("count").hidden = !(count.needed() || (view && !view.recording));
  $("count-number").textContent = count.number();
  $("count-names").replaceChildren(...count.waiting().map((one) => {
    const item = element("li", "", "");
    item.append(element("span", "", `${one.name} ${one.group}`));
    const button = element("button", "quiet", t("staff.count.enter"));
    button.disabled = !session.operator;
    button.addEventListener("click", () => enter(one));
    item.append(button);
    return item;
  }));
}

function drawOutcome() {
  $("outcome").textContent = outcome ? t(outcome.key, outcome.values) : "";
  $("outcome").className = outcome?.failed ? "failed" : "";
}

function tell(key, values = {}, failed = false) {
  outcome = { key, values, failed };
  drawOutcome();
  $("outcome").scrollIntoView({ block: "nearest" });
}

function tellWhy({ why, wait }) {
  tell(`staff.why.${why}`, { number: wait }, true);
  if (why === "signed_out") refreshSession();
}

async function refreshSession() {
  const asked = await ask("/staff/session");
  if (asked.ok) session = asked.answer;
  if (session.operator) await drawGroups();
  else { // nothing of the last shift stays on the screen
    $("found").replaceChildren();
    $("groups").replaceChildren();
    $("find").value = "";
  }
  draw();
}

// ---- signing in and out

$("sign-in").addEventListener("submit", async (event) => {
  event.preventDefault();
  const asked = await ask("/staff/sign-in", { pin: $("sign-pin").value, operator: $("sign-operator").value });
  $("sign-pin").value = "";
  if (!asked.ok) {
    tellWhy(asked);
    return;
  }
  outcome = null;
  await refreshSession();
  stream.reopen(); // the new stream has names
  $("find").focus();
});

$("sign-out").addEventListener("click", async () => {
  await ask("/staff/sign-out", {});
  outcome = null;
  await refreshSession();
  stream.reopen();
});

// ---- by hand: one person, a class

function choose(tab) {
  for (const name of ["person", "class"]) {
    $(`tab-${name}`).setAttribute("aria-selected", String(name === tab));
    $(`by-${name}`).hidden = name !== tab;
  }
}
$("tab-person").addEventListener("click", () => choose("person"));
$("tab-class").addEventListener("click", () => choose("class"));

let finding = 0;
$("find").addEventListener("input", () => {
  clearTimeout(finding);
  finding = setTimeout(find, FIND_AFTER_MS);
});

async function find() {
  const text = $("find").value.trim();
  if (!text) {
    $("found").replaceChildren();
    return;
  }
  const asked = await ask("/staff/find", { text });
  if (text !== $("find").value.trim()) return; // typed on meanwhile
  if (!asked.ok) {
    tellWhy(asked);
    return;
  }
  if (asked.answer.length === 0) $("found").replaceChildren(element("li", "hint", t("staff.nobody")));
  else $("found").replaceChildren(...asked.answer.map((one) => choice(one.name, one.group, () => enter(one))));
}

async function drawGroups() {
  const asked = await ask("/staff/groups");
  if (asked.ok) $("groups").replaceChildren(...asked.answer.map((group) => choice(group, "", () => enterClass(group))));
}

function choice(words, group, onChoose) {
  const item = document.createElement("li");
  const button = element("button", "");
  if (group) button.append(element("span", "group", group));
  button.append(element("span", "", words));
  button.addEventListener("click", onChoose);
  item.append(button);
  return item;
}

async function enter(one) {
  const reason = await confirm("staff.confirm_person", `${one.name}  ${one.group}`, "by_hand", BY_HAND);
  if (reason === null) return;
  const asked = await ask("/staff/enter", { person: one.person, reason });
  if (asked.ok) {
    count.forget(one.person);
    $("find").value = "";
    $("found").replaceChildren();
    tell("staff.entered", { name: one.name });
    return;
  }
  if (asked.why === "not_recorded") count.remember(one.person, one.name, one.group);
  tellWhy(asked);
}

async function enterClass(group) {
  const reason = await confirm("staff.confirm_class", group, "by_hand", BY_HAND);
  if (reason === null) return;
  const asked = await ask("/staff/class", { group, reason });
  if (asked.ok) tell("staff.entered_class", { name: group, number: asked.answer.rows });
  else tellWhy(asked);
}

async function takeBack(notice) {
  const { staff } = notice;
  const reason = await confirm("staff.confirm_void", `${staff.name}  ${staff.group}`, "taken_back", TAKEN_BACK);
  if (reason === null) return;
  const asked = await ask("/staff/void", { epoch: staff.entry_epoch, seq: staff.entry_seq, reason });
  if (asked.ok || asked.why === "already_void") takenBack.add(rowId(staff));
  if (asked.ok) tell("staff.voided", { name: staff.name });
  else tellWhy(asked);
  drawView();
}

// ---- the question before each: which reason? Gives the reason, or null.

function confirm(title, who, kind, codes) {
  const dialog = $("confirm");
  let chosen = "";
  $("confirm-title").textContent = t(title);
  $("confirm-who").textContent = who;
  $("own-reason").value = "";
  const buttons = codes.map((code) => {
    const button = element("button", "", t(`staff.${kind}.${code}`));
    button.type = "button";
    button.setAttribute("role", "radio");
    button.addEventListener("click", () => { $("own-reason").value = ""; pick(code); });
    return button;
  });
  function pick(code) {
    chosen = code;
    buttons.forEach((button, at) => button.setAttribute("aria-checked", String(codes[at] === code)));
    $("confirm-do").disabled = !chosen;
  }
  $("reasons").replaceChildren(...buttons);
  $("own-reason").oninput = () => {
    const own = $("own-reason").value.trim();
    pick("");
    chosen = own;
    $("confirm-do").disabled = !own;
  };
  pick("");
  dialog.showModal();
  return new Promise((resolve) => {
    const end = (reason) => { dialog.close(); resolve(reason); };
    $("confirm-do").onclick = () => end(chosen);
    $("confirm-cancel").onclick = () => end(null);
    dialog.oncancel = () => end(null);
    dialog.firstElementChild.onsubmit = (event) => { // Enter in the text field confirms, when there is a reason
      event.preventDefault();
      if (chosen) end(chosen);
    };
  });
}

// ---- the count by hand

$("count-more").addEventListener("click", () => count.add(1));
$("count-less").addEventListener("click", () => count.add(-1));
$("count-clear").addEventListener("click", () => {
  const sure = $("count-clear").dataset.t === "staff.count.clear_sure";
  $("count-clear").dataset.t = sure ? "staff.count.clear" : "staff.count.clear_sure"; // a slip must not lose the count
  if (sure) count.clear();
  drawWords();
});

// ---- the line to the agent

choose("person");
count.start(drawCount);
draw();
refreshSession();
const stream = follow("/events/staff", {
  onState: (next) => {
    const wasNamed = view?.named;
    view = next;
    receivedMs = Date.now();
    drawView();
    drawCount();
    if (wasNamed && !next.named && session.operator) refreshSession(); // the session ran out
  },
  onBeat: (beat) => { offsetMin = beat.utc_offset_min; },
  onLink: (up) => {
    $("offline").hidden = up;
    if (up) refreshSession();
  },
});
