// Doubts that concern every row, the clock, the list and the ledger: they stand once, at the top of Today and of the page, and not
// in each row again.

import { $, t } from "/page/desk.js";
import { element } from "/page/feed.js";

const SUBJECTS = ["clock", "roster", "ledger"];

let doubts = [];

export function noteDoubts(health) {
  doubts = health.filter((line) => SUBJECTS.includes(line.subject) && line.level !== "ok" && line.value !== "none");
  drawDoubts();
}

export function drawDoubts() {
  $("today-doubts").hidden = doubts.length === 0;
  const items = doubts.map((line) => element("li", "", t(`health.${line.subject}.${line.value}`, { number: line.number })));
  $("today-doubt-list").replaceChildren(...items);
}
