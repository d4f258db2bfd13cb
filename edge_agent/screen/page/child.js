// The child's page: draws the newest state that the agent sent, and decides nothing.

import { follow } from "/page/stream.js";
import { play } from "/page/sound.js";
import { LANGUAGES, say } from "/page/words.js";

const FIT_MIN = 0.4;
const ATTENTION = ["ask_staff", "not_recorded"];
const $ = (id) => document.getElementById(id);

let view = null;
let heard = null; // the run and number of the newest notice whose sound was played
let offsetMin = 0;
let linked = false;
let ticking = 0;

function icon(svg, name) {
  svg.firstElementChild.setAttribute("href", `#icon-${name}`);
}

function put(id, words) {
  const element = $(id);
  element.textContent = words;
  element.hidden = !words;
}

function drawIdle(language, invite) {
  put("name", "");
  put("title", say(language, `child.invite.${invite}`));
  put("text", "");
  const others = LANGUAGES.filter((other) => other !== language);
  $("others").replaceChildren(...others.map((other) => line(other, say(other, `child.invite.${invite}`))));
  icon($("mark"), { card: "card", staff: "person" }[invite] ?? "hand");
  $("mark-too").toggleAttribute("hidden", invite !== "palm_or_card"); // an SVG element has no .hidden
}

function line(language, words) {
  const item = document.createElement("li");
  item.lang = language;
  item.textContent = words;
  return item;
}

function drawNotice(notice) {
  put("name", notice.greeting);
  put("title", say(notice.language, `child.${notice.state}.title`));
  put("text", say(notice.language, notice.advice ? `child.advice.${notice.advice}` : `child.${notice.state}.text`));
  $("others").replaceChildren();
  icon($("mark"), notice.icon);
  $("mark-too").toggleAttribute("hidden", true);
}

function drawOffline(language) {
  put("name", "");
  put("title", say(language, "child.offline.title"));
  put("text", say(language, "child.offline.text"));
  const others = LANGUAGES.filter((other) => other !== language);
  $("others").replaceChildren(...others.map((other) => line(other, say(other, "child.offline.title"))));
  icon($("mark"), "link");
  $("mark-too").toggleAttribute("hidden", true);
  $("trail").replaceChildren();
}

function chip(notice) {
  const item = document.createElement("li");
  item.dataset.state = notice.state;
  item.lang = notice.language;
  const mark = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  mark.append(document.createElementNS("http://www.w3.org/2000/svg", "use"));
  icon(mark, notice.icon);
  const words = document.createElement("span");
  words.dir = "auto";
  const asks = ATTENTION.includes(notice.state);
  words.textContent = notice.greeting || (asks ? say(notice.language, `child.${notice.state}.title`) : "");
  item.append(mark, words);
  return item;
}

function fit() {
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
  const changed = document.body.dataset.state !== state;
  document.body.dataset.state = state;
  document.body.dataset.invite = view?.invite ?? "";
  document.body.dataset.number = view?.big.number ?? "";
  document.documentElement.lang = language;
  if (state === "offline") {
    drawOffline(language);
  } else {
    if (state === "idle") drawIdle(language, view.invite);
    else drawNotice(view.big);
    $("trail").replaceChildren(...view.trail.map(chip));
  }
  fit();
  return changed;
}

function show(next, run) {
  const before = view?.big.number;
  view = next;
  draw();
  const mark = `${run}-${next.big.number}`;
  if (heard !== null && heard !== mark && next.big.state !== "idle") {
    play(next.big.sound);
    if (before !== next.big.number) arrive();
  }
  heard = mark; // the first state after the page came up is old news: silent
}

function arrive() {
  const marks = $("marks");
  marks.classList.remove("arrive");
  void marks.offsetWidth; // starts the animation anew
  marks.classList.add("arrive");
}

function tick() {
  clearTimeout(ticking);
  const local = new Date(Date.now() + offsetMin * 60000);
  $("clock").textContent = local.toISOString().slice(11, 16);
  ticking = setTimeout(tick, 60000 - (Date.now() % 60000));
}

follow("/events", {
  onState: show,
  onBeat: (beat) => {
    if (beat.utc_offset_min !== offsetMin || !$("clock").textContent) {
      offsetMin = beat.utc_offset_min;
      tick();
    }
  },
  onLink: (up) => { linked = up; draw(); },
});
addEventListener("resize", fit);
document.fonts.ready.then(fit);
