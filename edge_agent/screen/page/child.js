// The child's page: draws the newest state from the agent, and decides nothing itself.

import { follow } from "/page/stream.js";
import { playSound } from "/page/sound.js";
import { LANGUAGES, translate } from "/page/words.js";

const FIT_MIN = 0.4;
const ATTENTION = ["ask_staff", "not_recorded"];
const $ = (id) => document.getElementById(id);

let view = null;
let soundedId = null; // run and number of the newest notice whose sound was played
let offsetMin = 0;
let linked = false;
let clockTimer = 0;

function setIcon(svg, name) {
  svg.firstElementChild.setAttribute("href", `#icon-${name}`);
}

function setText(id, words) {
  const element = $(id);
  element.textContent = words;
  element.hidden = !words;
}

function drawIdle(language, invite) {
  setText("name", "");
  setText("title", translate(language, `child.invite.${invite}`));
  setText("text", "");
  const languages = LANGUAGES.filter((candidate) => candidate !== language);
  $("translations").replaceChildren(...languages.map((second) => translationItem(second, translate(second, `child.invite.${invite}`))));
  setIcon($("mark"), { card: "card", staff: "person" }[invite] ?? "hand");
  $("second-mark").toggleAttribute("hidden", invite !== "palm_or_card"); // an SVG element has no .hidden
}

function translationItem(language, words) {
  const item = document.createElement("li");
  item.lang = language;
  item.textContent = words;
  return item;
}

function drawNotice(notice) {
  setText("name", notice.greeting);
  setText("title", translate(notice.language, `child.${notice.state}.title`));
  setText("text", translate(notice.language, notice.advice ? `child.advice.${notice.advice}` : `child.${notice.state}.text`));
  $("translations").replaceChildren();
  setIcon($("mark"), notice.icon);
  $("second-mark").toggleAttribute("hidden", true);
}

function drawOffline(language) {
  setText("name", "");
  setText("title", translate(language, "child.offline.title"));
  setText("text", translate(language, "child.offline.text"));
  const languages = LANGUAGES.filter((candidate) => candidate !== language);
  $("translations").replaceChildren(...languages.map((second) => translationItem(second, translate(second, "child.offline.title"))));
  setIcon($("mark"), "link");
  $("second-mark").toggleAttribute("hidden", true);
  $("trail").replaceChildren();
}

function trailItem(notice) {
  const item = document.createElement("li");
  item.dataset.state = notice.state;
  item.lang = notice.language;
  const mark = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  mark.append(document.createElementNS("http://www.w3.org/2000/svg", "use"));
  setIcon(mark, notice.icon);
  const words = document.createElement("span");
  words.dir = "auto";
  const needsStaff = ATTENTION.includes(notice.state);
  words.textContent = notice.greeting || (needsStaff ? translate(notice.language, `child.${notice.state}.title`) : "");
  item.append(mark, words);
  return item;
}

function fitWords() {
  const big = $("big");
  const words = $("words");
  const tooBig = () =>
    big.scrollHeight > big.clientHeight || words.scrollWidth > words.clientWidth
    || words.getBoundingClientRect().bottom > big.getBoundingClientRect().bottom + 1
    || words.getBoundingClientRect().top < big.getBoundingClientRect().top - 1;
  let size = 1;
  do {
    document.documentElement.style.setProperty("--fit", size.toFixed(2));
    size -= 0.06;
  } while (size >= FIT_MIN && tooBig());
}

function draw() {
  const language = view?.big.language ?? document.documentElement.lang;
  const state = linked && view ? view.big.state : "offline";
  document.body.dataset.state = state;
  document.body.dataset.invite = view?.invite ?? "";
  document.body.dataset.number = view?.big.number ?? "";
  document.documentElement.lang = language;
  if (state === "offline") {
    drawOffline(language);
  } else {
    if (state === "idle") drawIdle(language, view.invite);
    else drawNotice(view.big);
    $("trail").replaceChildren(...view.trail.map(trailItem));
  }
  fitWords();
}

function show(next, run) {
  const before = view?.big.number;
  view = next;
  draw();
  const noticeId = `${run}-${next.big.number}`;
  if (soundedId !== null && soundedId !== noticeId && next.big.state !== "idle") {
    playSound(next.big.sound);
    if (before !== next.big.number) animateArrival();
  }
  soundedId = noticeId; // the first state after a reload plays no sound: it is old
}

function animateArrival() {
  const marks = $("marks");
  marks.classList.remove("arrive");
  void marks.offsetWidth; // starts the animation anew
  marks.classList.add("arrive");
}

function drawClock() {
  clearTimeout(clockTimer);
  const local = new Date(Date.now() + offsetMin * 60000);
  $("clock").textContent = local.toISOString().slice(11, 16);
  clockTimer = setTimeout(drawClock, 60000 - (Date.now() % 60000));
}

follow("/events", {
  onState: show,
  onHeartbeat: (heartbeat) => {
    if (heartbeat.utc_offset_min !== offsetMin || !$("clock").textContent) {
      offsetMin = heartbeat.utc_offset_min;
      drawClock();
    }
  },
  onLink: (up) => { linked = up; draw(); },
});
addEventListener("resize", fitWords);
document.fonts.ready.then(fitWords);
