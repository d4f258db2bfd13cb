// What the staff see of the last children and of the kiosk itself.

import { knows, say } from "/page/words.js";

const SIGNS = { welcome: "✓", goodbye: "→", noted: "☰", again: "↻", enrol: "＋", show_palm: "✋", use_card: "▭", ask_staff: "?", not_recorded: "◆" };
const ATTENTION = new Set(["ask_staff", "not_recorded"]);

export function health(list, lines, language) {
  list.replaceChildren(...lines.map((line) => {
    const item = element("li", "", say(language, `health.${line.subject}.${line.value}`, {
      number: line.number, names: line.names.join(", "),
    }));
    item.dataset.level = line.level;
    return item;
  }));
}

// `takenBack` holds the rows that were voided from this page; `onVoid(notice)` is missing where nobody is signed in.
export function notices(list, view, language, clock, takenBack, onVoid) {
  list.replaceChildren(...view.notices.map((notice) => row(notice, language, clock, takenBack, onVoid)));
}

export const rowId = (staff) => `${staff.entry_epoch}/${staff.entry_seq}`;

function row(notice, language, clock, takenBack, onVoid) {
  const { staff } = notice;
  const item = element("li", ATTENTION.has(notice.state) ? "attention" : "");
  const who = element("div", "");
  const top = element("div", "");
  top.append(
    element("span", "name", staff.name || say(language, `child.${notice.state}.title`)), " ",
    element("span", "group", staff.group), " ",
    element("span", "time", clock(notice.age_s)),
  );
  who.append(top, ...[staff.reason, ...staff.notes].map((code) => element("div", "why", reason(language, code))));
  if (staff.candidates.length) {
    who.append(element("div", "why", say(language, "staff.candidates", { names: staff.candidates.join(", ") })));
  }
  if (staff.hints.length) {
    const hints = element("div", "hints");
    hints.append(...staff.hints.map((hint) => element("span", "", hintWords(language, hint))));
    who.append(hints);
  }
  item.append(element("span", "sign", SIGNS[notice.state] ?? ""), who);
  if (takenBack.has(rowId(staff))) {
    item.classList.add("taken-back");
    item.append(element("span", "time", say(language, "staff.taken_back")));
  } else if (onVoid && staff.entry_seq > 0) {
    const button = element("button", "quiet", say(language, "staff.take_back"));
    button.addEventListener("click", () => onVoid(notice));
    item.append(button);
  }
  return item;
}

function reason(language, code) {
  if (!code) return ""; // an ordinary entry: nothing to say
  const key = `reason.${code}`;
  return knows(language, key) ? say(language, key) : code;
}

function hintWords(language, hint) {
  const key = `hint.${hint}`;
  return knows(language, key) ? say(language, key) : hint;
}

export function element(tag, className, words = "") {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (words) {
    made.textContent = words;
    made.dir = "auto";
  }
  return made;
}
