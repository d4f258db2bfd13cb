// The staff's page: the last children, the kiosk's health, and acts by hand.

import * as count from "/page/count.js";
import { likelyReason, reasonOf, wantsCard } from "/page/attention.js";
import { startBand } from "/page/band.js";
import { giveCard, startCards } from "/page/cards.js";
import { drawClocks, forgetClocks, refreshClocks } from "/page/clocks.js";
import { drawDoubts, noteDoubts } from "/page/doubts.js";
import {
  $, clearOutcome, drawOutcome, drawWords, showFailure, showOutcome, spokenLanguage, t, whenSignedOut,
} from "/page/desk.js";
import { drawHealth, drawNotices, drawReaders, rowId } from "/page/feed.js";
import { drawGuests, refreshGuests, startGuests } from "/page/guests.js";
import { returnToChildren, watchIdle } from "/page/hall.js";
import { startKeyboard } from "/page/keyboard.js";
import { signInParts } from "/page/operators.js";
import { drawPaper, forgetPaper, refreshPaper, startPaper } from "/page/paper.js";
import { request } from "/page/request.js";
import { clearSearch, enterPerson, focusSearch, lookFor, startSearch } from "/page/search.js";
import { follow } from "/page/stream.js";
import { drawTablets, isPairing, startTablets } from "/page/tablets.js";
import { drawGroups, drawTicks, forgetTicks, startTicks } from "/page/ticks.js";
import { drawToday, forgetToday, refreshToday, startToday } from "/page/today.js";
import { requestVoid, showVoided } from "/page/voiding.js";

let session = { on: false, operator: "", choices: [], rights: [], first: false, hall: false };
let isInHall = false; // the parts of the hall have begun
let view = null;
let receivedMs = 0;
let offsetMin = 0;
const voidedRows = new Set();

function clock(ageS) {
  return new Date(receivedMs - ageS * 1000 + offsetMin * 60000).toISOString().slice(11, 16);
}

const clockAt = (unixS) => new Date(unixS * 1000 + offsetMin * 60000).toISOString().slice(11, 16);

const momentWords = (text) => new Date(Date.parse(text) + offsetMin * 60000).toISOString().slice(0, 16).replace("T", " ");

function draw() {
  drawWords(draw);
  drawView();
  drawCount();
  drawOutcome();
  drawToday();
  drawDoubts();
  drawTicks();
  drawGuests();
  drawPaper();
  const signedIn = session.operator !== "";
  $("off").hidden = session.on;
  $("desk").hidden = !session.rights.includes("find");
  $("who").hidden = !signedIn;
  $("tab-guests").hidden = session.hall; // who pays is not shown to the hall
  $("kiosk-status").hidden = !session.rights.includes("answer");
  $("enrolment").hidden = !session.rights.includes("enrol");
  $("operator").textContent = session.operator;
  operators.draw(session);
  drawTablets(session);
}

function drawView() {
  if (!view) return;
  noteDoubts(view.health);
  drawHealth($("health"), view.health, spokenLanguage());
  $("call-answer").hidden = !(session.rights.includes("answer") && view.health.some((line) => line.subject === "technician"));
  $("readers").hidden = view.readers.length === 0;
  drawReaders($("reader-list"), view.readers, spokenLanguage(), clockAt);
  drawClocks();
  $("feed-empty").hidden = view.notices.length > 0;
  $("feed-nameless").hidden = view.named || view.notices.length === 0;
  drawNotices($("feed"), view, spokenLanguage(), clock, voidedRows, session.operator ? ROW_ACTS : null);
}

function drawCount() {
  count.drawWaiting(view, session.operator !== "", t, clockAt);
}

async function refreshWaiting() {
  await count.refreshWaiting(session.operator !== "");
  drawCount();
}

async function refreshSession() {
  const response = await request("/staff/session");
  if (response.ok) session = response.body;
  if (session.hall) startHall();
  if (session.operator) {
    await drawGroups();
    await refreshClocks();
    await count.refreshWaiting(true);
  } else {
    await count.refreshWaiting(false);
    forgetClocks(); // no name of the last shift stays on the screen
    clearSearch();
    forgetToday();
    forgetTicks();
    forgetPaper();
  }
  draw();
}

// ---- Signing in and out.

const operators = signInParts({ t, showOutcome, showFailure, onSignedIn: enterDesk });

async function enterDesk() {
  clearOutcome();
  await refreshSession();
  stream.reopen(); // the new stream has names
  focusSearch();
}

$("sign-out").addEventListener("click", async () => {
  await request("/staff/sign-out", {});
  clearOutcome();
  await refreshSession();
  stream.reopen();
});

// ---- Entries by hand: one person, or a class.

function chooseTab(tab) {
  for (const name of ["person", "class", "guests", "paper", "today"]) {
    $(`tab-${name}`).setAttribute("aria-selected", String(name === tab));
    $(`by-${name}`).hidden = name !== tab;
  }
}
$("tab-person").addEventListener("click", () => chooseTab("person"));
$("tab-class").addEventListener("click", () => chooseTab("class"));
$("tab-guests").addEventListener("click", () => { chooseTab("guests"); refreshGuests(); });
$("tab-paper").addEventListener("click", () => { chooseTab("paper"); refreshPaper(); });
$("tab-today").addEventListener("click", () => { chooseTab("today"); refreshToday(); });

async function voidEntry(notice) {
  const { staff } = notice;
  const response = await requestVoid({ ...staff, epoch: staff.entry_epoch, seq: staff.entry_seq });
  if (response === null) return;
  if (response.ok || response.why === "already_void") voidedRows.add(rowId(staff));
  showVoided(response, staff.name);
  drawView();
  refreshToday();
  focusSearch();
}

const mayGiveCards = () => (session.rights.includes("cards") ? giveCard : null);

// A row knows the id of one person, or the names of several, who are then looked for.
const ROW_ACTS = {
  onVoid: voidEntry,
  onMeant: (notice, name) => {
    const { person, group } = notice.staff;
    chooseTab("person");
    if (person) enterPerson({ person, name, group }, reasonOf(notice));
    else lookFor(name, reasonOf(notice));
  },
  onCard: (notice) => {
    const { person, name, group } = notice.staff;
    chooseTab("person");
    if (person) giveCard({ person, name, group });
    else lookFor("", reasonOf(notice));
  },
  onCall: (notice) => callTechnician(notice.staff.reason),
  mayCall: () => session.rights.includes("call"),
  givesCard: (notice) => mayGiveCards() !== null && wantsCard(notice),
  onOther: (notice) => {
    chooseTab("person");
    lookFor("", reasonOf(notice));
  },
};

async function callTechnician(about) {
  const response = await request("/staff/technician/call", { about });
  if (response.ok) showOutcome("staff.technician.called");
  else showFailure(response);
  focusSearch();
}
$("call-answer").addEventListener("click", async () => {
  const response = await request("/staff/technician/answer", {});
  if (response.ok) showOutcome("staff.technician.answered");
  else showFailure(response);
});

// ---- The count by hand.

async function changeCount(step) {
  const response = await count.changeCount(step);
  if (!response.ok) showFailure(response);
  else {
    view.hand_count = response.body.number; // the stream says the same a moment later
    drawCount();
  }
}
$("count-more").addEventListener("click", () => changeCount(1));
$("count-less").addEventListener("click", () => changeCount(-1));

// ---- On the kiosk's own screen, in the hall.

function startHall() {
  if (isInHall) return;
  isInHall = true;
  for (const id of ["band", "leave-hall"]) $(id).hidden = false;
  $("leave-hall").addEventListener("click", returnToChildren);
  startBand($("band"));
  startKeyboard();
  watchIdle(isPairing);
}

// ---- The stream from the agent.

chooseTab("person");
startToday();
startTicks();
startGuests();
startPaper();
startCards(() => { clearSearch(); focusSearch(); });
startTablets(momentWords);
startSearch(() => likelyReason(view), mayGiveCards);
whenSignedOut(refreshSession);
draw();
refreshSession();
const stream = follow("/events/staff", {
  onState: (next) => {
    const wasNamed = view?.named;
    const hasNews = session.operator && JSON.stringify(view?.readers) !== JSON.stringify(next.readers);
    const waits = view?.waiting !== next.waiting;
    view = next;
    receivedMs = Date.now();
    drawView();
    drawCount();
    if (session.operator) refreshToday({ atOnce: false });
    if (waits) refreshWaiting();
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
    else request("/staff/session"); // a tablet whose pairing has ended learns of it at once
  },
});
globalThis.pageWatch.ready = true;
