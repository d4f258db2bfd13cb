// Enrolment day: a class, its children, consent and both hands of one child, and the next child.

import { $, choiceItem, nameWords, showFailure, showOutcome, clearOutcome, drawOutcome, drawWords, spokenLanguage, t, whenSignedOut } from "/page/desk.js";
import { giveCard, startCards } from "/page/cards.js";
import { element } from "/page/feed.js";
import { watchIdle } from "/page/hall.js";
import { startKeyboard } from "/page/keyboard.js";
import { request } from "/page/request.js";

const GIVERS = ["mother", "father", "guardian", "self"];
const HANDS = ["left", "right"];
const LOOK_MS = 350; // between two looks at a hand that is being taken
const TYPE_MS = 200;

let classes = [];
let today = "";
let group = localStorage.getItem("canteen-enrol-class") ?? "";
let children = [];
let onlyLeft = true;
let child = null;
let progress = null;
let giver = "";
let typing = 0;
let looking = 0;
let isInHall = false; // the parts of the hall have begun

const isDone = (row) => row.hands.length > 1 || (row.hands.length === 1 && row.mark === "one_hand");
const isLeft = (row) => !isDone(row) && row.mark !== "refused" && row.mark !== "absent";

function draw() {
  drawWords(draw);
  drawList();
  drawChild();
  drawOutcome();
}

// ---- The list: classes, or the children of one.

function drawList() {
  const found = $("find").value.trim() !== "";
  const inClass = group !== "" || found;
  $("list-acts").hidden = !inClass;
  $("classes").hidden = inClass;
  $("children").hidden = !inClass;
  $("only-left").setAttribute("aria-pressed", String(onlyLeft));
  if (!inClass) {
    const all = classes.reduce((sum, row) => sum + row.people, 0);
    $("list-title").textContent = t("enrol.day.progress", { done: classes.reduce((sum, row) => sum + row.done, 0), all });
    $("classes").replaceChildren(...classes.map((row) => {
      const words = [t("enrol.day.progress", { done: row.done, all: row.people })];
      if (row.absent) words.push(t("enrol.day.count_absent", { number: row.absent }));
      if (row.refused) words.push(t("enrol.day.count_refused", { number: row.refused }));
      return choiceItem(row.group, words.join(" · "), () => openClass(row.group)); // the class, and how far it is
    }));
    return;
  }
  const done = children.filter(isDone).length;
  $("list-title").textContent = found ? t("enrol.day.found", { number: children.length })
    : `${group} · ${t("enrol.day.progress", { done, all: children.length })}`;
  const shown = onlyLeft && !found ? children.filter((row) => isLeft(row) || row.person === child?.person) : children;
  $("children").replaceChildren(...shown.map(childItem));
  if (shown.length === 0) $("children").append(element("li", "hint", t(found ? "staff.nobody" : "enrol.day.nobody_left")));
}

function childItem(row) {
  const item = document.createElement("li");
  const button = element("button", "", nameWords(row));
  button.append(element("span", "state", stateWords(row)));
  if (row.person === child?.person) button.setAttribute("aria-current", "true");
  button.addEventListener("click", () => openChild(row));
  item.append(button);
  return item;
}

function stateWords(row) {
  if (isDone(row)) return `✓ ${t("enrol.day.done")}`;
  if (row.mark === "refused" || row.mark === "absent") return t(`enrol.day.is_${row.mark}`);
  if (row.hands.length) return t("enrol.day.other_hand_missing");
  return row.agreed ? t("enrol.day.agreed_short") : t("enrol.day.no_consent_short");
}

async function readClasses() {
  const response = await request("/staff/enrol/classes");
  if (!response.ok) {
    showFailure(response);
    return;
  }
  ({ classes, today } = response.body);
  if (!classes.some((row) => row.group === group)) group = "";
  drawList();
}

async function openClass(name) {
  group = name;
  localStorage.setItem("canteen-enrol-class", name);
  await readChildren();
  $("list-title").focus();
}

async function readChildren() {
  const text = $("find").value.trim();
  const response = text ? await request("/staff/enrol/find", { text })
    : group ? await request("/staff/enrol/class", { group }) : { ok: true, body: [] };
  if (text !== $("find").value.trim()) return; // the text has changed since
  if (!response.ok) {
    showFailure(response);
    return;
  }
  children = response.body;
  const fresh = children.find((row) => row.person === child?.person);
  if (fresh) child = fresh;
  drawList();
  drawChild();
}

// ---- One child.

function openChild(row) {
  child = row;
  giver = "";
  progress = null;
  $("paper").value = "";
  $("signed-on").value = $("signed-on").max = today;
  clearOutcome();
  drawList();
  drawChild();
  if (row.agreed) $("start").focus();
  else $("paper").focus();
}

const missingHands = () => HANDS.filter((hand) => !child.hands.includes(hand));

function drawChild() {
  $("child").hidden = child === null;
  if (child === null) return;
  const running = progress?.running ?? false;
  $("child-name").textContent = nameWords(child);
  $("child-class").textContent = child.group;
  $("agreed").textContent = !child.agreed ? t("enrol.day.no_consent")
    : child.paper ? t("enrol.day.agreed_paper", { paper: child.paper, who: t(`enrol.day.giver.${child.given_by}`) })
      : t("enrol.day.agreed");
  $("consent").hidden = child.agreed;
  $("hands").hidden = !child.agreed;
  for (const hand of HANDS) drawHand(hand, running);
  $("say").className = progress?.failed ? "failed" : "";
  $("say").textContent = sayWords();
  $("start").hidden = running;
  $("start").textContent = missingHands().length ? t("enrol.day.start") : t("enrol.day.again");
  $("stop").hidden = !running;
  $("marks").hidden = running;
  $("next").hidden = isLeft(child);
  $("absent").hidden = isDone(child);
  $("refused").hidden = child.hands.length > 0;
  $("one-hand").hidden = child.hands.length !== 1 || child.mark === "one_hand";
  $("withdraw").hidden = !child.agreed && child.hands.length === 0;
  drawGivers();
}

function drawHand(hand, running) {
  const box = $(`hand-${hand}`);
  const now = running && progress.hand === hand;
  const known = child.hands.includes(hand) || (progress?.done ?? []).includes(hand);
  const good = now ? progress.good : 0;
  box.toggleAttribute("data-now", now);
  box.replaceChildren(t(`enrol.day.hand.${hand}`), element("b", "", known && !now ? "✓" : "●".repeat(good) + "○".repeat(3 - Math.min(good, 3))));
}

function sayWords() {
  if (!progress) return "";
  if (progress.failed && progress.known_as) return t("enrol.day.known_as", { name: progress.known_as });
  if (progress.failed && progress.step === "not_recorded") return t("staff.why.not_recorded");
  if (progress.failed && progress.step === "stopped") return t("enrol.day.stopped");
  if (progress.running || progress.failed) return progress.say;
  return isDone(child) ? t("enrol.day.all_done") : "";
}

function drawGivers() {
  $("givers").replaceChildren(...GIVERS.map((code) => {
    const button = element("button", "", t(`enrol.day.giver.${code}`));
    button.type = "button";
    button.dataset.giver = code;
    button.setAttribute("role", "radio");
    button.setAttribute("aria-checked", String(code === giver));
    button.addEventListener("click", () => {
      giver = code;
      drawGivers();
      $("givers").querySelector(`[data-giver="${code}"]`).focus();
    });
    return button;
  }));
}

// Does an act, reads the list anew, and returns the response.
async function act(path, body) {
  clearOutcome();
  const response = await request(`/staff/enrol/${path}`, body);
  if (!response.ok) showFailure(response);
  await readChildren();
  return response;
}

$("consent").addEventListener("submit", async (event) => {
  event.preventDefault();
  if (!giver) {
    showOutcome("enrol.day.choose_giver", {}, true);
    return;
  }
  const body = { person: child.person, paper: $("paper").value, given_by: giver, signed_on: $("signed-on").value };
  if ((await act("consent", body)).ok) $("start").focus();
});

// ---- The hands before the camera.

async function start() {
  const missing = missingHands();
  const hands = missing.length ? missing : HANDS;
  clearOutcome();
  const response = await request("/staff/enrol/start", { person: child.person, hands, language: spokenLanguage() });
  if (!response.ok) {
    showFailure(response);
    return;
  }
  progress = { running: true, hand: hands[0], good: 0, done: [], say: "" };
  drawChild();
  $("stop").focus();
  look();
}

async function look() {
  clearTimeout(looking);
  const response = await request("/staff/enrol/progress");
  if (response.ok && response.body.person === child?.person) progress = response.body;
  if (!response.ok && response.why === "signed_out") {
    showFailure(response);
    return;
  }
  if (progress?.running) {
    drawChild();
    looking = setTimeout(look, LOOK_MS);
    return;
  }
  await readClasses();
  await readChildren();
  if (child && !progress?.failed && !isLeft(child)) $("next").focus();
  else if (child) $("start").focus();
}

$("start").addEventListener("click", start);
$("stop").addEventListener("click", () => request("/staff/enrol/stop", {}));

async function setMark(mark) {
  if ((await act("mark", { person: child.person, mark })).ok) {
    await readClasses();
    openNext();
  }
}
$("absent").addEventListener("click", () => setMark(child.mark === "absent" ? "" : "absent"));
$("refused").addEventListener("click", () => setMark(child.mark === "refused" ? "" : "refused"));
$("one-hand").addEventListener("click", () => setMark("one_hand"));
$("next").addEventListener("click", openNext);

// A card is given at the same table: the reader that children use takes the new one.
$("give-card").addEventListener("click", () => giveCard(child));
startCards(() => $($("next").hidden ? "give-card" : "next").focus());

async function openNext() {
  if ($("find").value) {
    $("find").value = "";
    await readChildren();
  }
  const place = children.findIndex((row) => row.person === child?.person);
  const order = [...children.slice(place + 1), ...children.slice(0, place + 1)];
  const next = order.find((row) => isLeft(row) && row.person !== child?.person);
  if (next) openChild(next);
  else {
    child = null;
    drawList();
    drawChild();
    showOutcome("enrol.day.nobody_left");
    $("list-title").focus();
  }
}

// ---- The end of a consent, in two acts: asked, and confirmed. The receipt is for paper.

$("withdraw").addEventListener("click", () => {
  $("sure-title").textContent = `${t("enrol.day.withdraw")} · ${nameWords(child)} ${child.group}`;
  $("sure").showModal();
});
$("sure-cancel").addEventListener("click", () => $("sure").close());
$("sure-do").addEventListener("click", async () => {
  $("sure").close();
  const response = await act("withdraw", { person: child.person });
  if (!response.ok) return;
  await readClasses();
  progress = null;
  drawChild();
  showOutcome("enrol.day.withdrawn", { number: response.body.samples });
  fillReceipt(response.body);
  window.print();
});

function fillReceipt(receipt) {
  const lines = ["receipt_child", "receipt_gone", "receipt_others", "receipt_again"].map((key) => element("p", "", t(`enrol.day.${key}`, {
    name: receipt.name, group: receipt.group, number: receipt.samples, time: receipt.at,
  })));
  $("sheet").replaceChildren(
    element("h1", "", t("enrol.day.receipt_title")), ...lines,
    element("p", "", `${$("operator").textContent} · ${receipt.epoch}-${receipt.seq}`),
    element("p", "", `${t("enrol.day.receipt_sign")} ____________________`),
  );
}

// ---- The forms for the family, in the language of the page: what the parents sign, and what the child is told.

const PARENTS_WORDS = ["ask", "kept", "not_kept", "card", "withdraw", "review", "sign", "sign_who"];
const CHILDS_WORDS = ["looks", "kept", "card", "stop"];

$("form").addEventListener("click", () => {
  const parents = PARENTS_WORDS.map((key) => element("p", key.startsWith("sign") ? "blanks" : "", t(`consent.${key}`)));
  const child = CHILDS_WORDS.map((key) => element("p", "large", t(`consent.child.${key}`)));
  $("sheet").replaceChildren(
    element("h1", "", t("consent.title")), ...parents, element("h1", "", t("consent.child.title")), ...child,
  );
  window.print();
});

// ---- The page.

$("find").addEventListener("input", () => {
  clearTimeout(typing);
  typing = setTimeout(readChildren, TYPE_MS);
});
$("all-classes").addEventListener("click", async () => {
  group = "";
  localStorage.removeItem("canteen-enrol-class");
  $("find").value = "";
  children = [];
  await readClasses();
  $("list-title").focus();
});
$("only-left").addEventListener("click", () => { onlyLeft = !onlyLeft; drawList(); });

async function open() {
  const response = await request("/staff/session");
  const session = response.ok ? response.body : { operator: "", rights: [] };
  if (session.hall) startHall();
  const may = session.rights.includes("enrol");
  $("operator").textContent = session.operator;
  $("give-card").hidden = !session.rights.includes("cards");
  $("shut").hidden = may;
  $("day").hidden = !may;
  if (!may) {
    children = classes = [];
    child = progress = null; // no name of the last shift stays on the screen
    draw();
    return;
  }
  await readClasses();
  await readChildren();
  const now = await request("/staff/enrol/progress");
  if (now.ok && now.body.running) await takeUp(now.body); // the page was loaded anew while a hand is taken
}

async function takeUp(running) {
  await openClass(running.group);
  const row = children.find((candidate) => candidate.person === running.person);
  if (!row) return;
  openChild(row);
  progress = running;
  look();
}

function startHall() { // on the kiosk's own screen
  if (isInHall) return;
  isInHall = true;
  startKeyboard();
  watchIdle(() => progress?.running ?? false);
}
whenSignedOut(open);
draw();
open();
