// The child's page: draws the newest state from the agent, and decides nothing itself.

import { watchCorner } from "/page/corner.js";
import { drawingOf, isGuidance, titleKeyOf } from "/page/guide.js";
import { follow } from "/page/stream.js";
import { playSound } from "/page/sound.js";
import { LANGUAGES, translate } from "/page/words.js";

const FIT_MIN = 0.4;
const FIT_STEP = 0.06;
const RELOAD_MS = 3000;
const ATTENTION = ["ask_staff", "not_recorded"];
const $ = (id) => document.getElementById(id);

let view = null;
let soundedId = null; // run and number of the newest notice whose sound was played
let offsetMin = 0;
let link = "starting"; // then up or down
let clockTimer = 0;
let volume = "on";
let speaks = false;

// Copies the drawing into the mark: what stands in a <use> cannot be animated everywhere. One that stands already goes on moving.
function setIcon(svg, name) {
  if (svg.dataset.icon === name) return;
  svg.dataset.icon = name;
  svg.replaceChildren(...$(`icon-${name}`).cloneNode(true).childNodes);
}

function setText(id, words) {
  const element = $(id);
  if (element.textContent !== words) element.textContent = words; // a screen reader repeats what is set again
  element.hidden = !words;
}

function drawIdle(language, invite) {
  setText("name", "");
  setText("title", translate(language, `child.invite.${invite}`));
  setText("text", "");
  const languages = LANGUAGES.filter((candidate) => candidate !== language);
  $("translations").replaceChildren(...languages.map((second) => translationItem(second, translate(second, `child.invite.${invite}`))));
  setIcon($("mark"), { card: "card", staff: "person" }[invite] ?? "place");
  setIcon($("second-mark"), "card");
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
  setText("title", translate(notice.language, titleKeyOf(notice)));
  setText("text", translate(notice.language, notice.advice ? `child.advice.${notice.advice}` : `child.${notice.state}.text`));
  $("translations").replaceChildren();
  setIcon($("mark"), drawingOf(notice));
  $("second-mark").toggleAttribute("hidden", true);
}

// The page without the agent: before its first state, or after the line was lost.
function drawAlone(language, state) {
  setText("name", "");
  setText("title", translate(language, state === "starting" ? "child.starting.title" : "child.offline.title"));
  setText("text", translate(language, state === "starting" ? "child.starting.text" : "child.offline.text"));
  const languages = LANGUAGES.filter((candidate) => candidate !== language);
  $("translations").replaceChildren(...languages.map((second) => translationItem(second, translate(second, `child.${state}.title`))));
  setIcon($("mark"), state === "starting" ? "starting" : "link");
  $("second-mark").toggleAttribute("hidden", true);
  drawTrail([]);
}

function drawTrail(notices) {
  $("trail").replaceChildren(...notices.map(trailItem));
  $("trail").hidden = notices.length === 0;
}

function trailItem(notice) {
  const item = document.createElement("li");
  item.dataset.state = notice.state;
  item.lang = notice.language;
  const mark = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  mark.setAttribute("viewBox", "0 0 200 200");
  setIcon(mark, notice.icon);
  const words = document.createElement("span");
  words.dir = "auto";
  const needsStaff = ATTENTION.includes(notice.state);
  words.textContent = notice.greeting || (needsStaff ? translate(notice.language, `child.${notice.state}.title`) : "");
  item.append(mark, words);
  return item;
}

// The title and the text keep the size that they have beside a short name: only a long name shrinks. Where even the
// smallest name leaves no room, everything shrinks.
function fitWords() {
  const style = document.documentElement.style;
  const shrink = (property) => {
    let size = 1;
    do {
      style.setProperty(property, size.toFixed(2));
      size -= FIT_STEP;
    } while (size >= FIT_MIN && isTooBig());
  };
  style.setProperty("--fit-name", FIT_MIN);
  shrink("--fit");
  if (!$("name").hidden) shrink("--fit-name");
}

function isTooBig() {
  const big = $("big");
  const words = $("words");
  return $("marks").getBoundingClientRect().top < big.getBoundingClientRect().top || big.scrollHeight > big.clientHeight || words.scrollWidth > words.clientWidth
    || words.getBoundingClientRect().bottom > big.getBoundingClientRect().bottom + 1
    || words.getBoundingClientRect().top < big.getBoundingClientRect().top - 1;
}

function draw() {
  const language = view?.big.language ?? document.documentElement.lang;
  const state = link === "up" && view ? view.big.state : link === "down" ? "offline" : "starting";
  document.body.dataset.state = state;
  document.body.dataset.invite = view?.invite ?? "";
  document.body.dataset.number = view?.big.number ?? "";
  document.body.toggleAttribute("data-guide", state === view?.big.state && isGuidance(view.big));
  document.documentElement.lang = language;
  $("corner").setAttribute("aria-label", translate(language, "child.corner"));
  if (state === "offline" || state === "starting") {
    drawAlone(language, state);
  } else {
    if (state === "idle") drawIdle(language, view.invite);
    else drawNotice(view.big);
    drawTrail(view.trail);
  }
  fitWords();
}

function show(next, run) {
  const before = view?.big.number;
  view = next;
  draw();
  const noticeId = `${run}-${next.big.number}`;
  if (soundedId !== null && soundedId !== noticeId && next.big.state !== "idle") {
    if (next.big.sound) { // an empty sound: the child is to have none
      playSound(next.big.state, volume);
      if (speaks) import("/page/speech.js").then(({ speak }) => speak(next.big, volume));
    }
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
    volume = heartbeat.sound;
    speaks = heartbeat.speech;
    if (heartbeat.utc_offset_min !== offsetMin || !$("clock").textContent) {
      offsetMin = heartbeat.utc_offset_min;
      drawClock();
    }
  },
  onLink: (up) => { link = up ? "up" : "down"; draw(); },
});
watchCorner($("corner"));
draw();
if (globalThis.pageWatch) globalThis.pageWatch.ready = true;
else setTimeout(() => location.reload(), RELOAD_MS); // start.js did not come
addEventListener("resize", fitWords);
document.fonts.ready.then(fitWords);
