// The staff's view of the last children and of the kiosk's health.

import { hasWords, translate } from "/page/words.js";

const SIGNS = { welcome: "✓", goodbye: "→", noted: "☰", again: "↻", enrol: "＋", show_palm: "✋", use_card: "▭", ask_staff: "?", not_recorded: "◆" };
const ATTENTION = new Set(["ask_staff", "not_recorded"]);

export function drawHealth(list, lines, language) {
  list.replaceChildren(...lines.map((line) => {
    const item = element("li", "", translate(language, `health.${line.subject}.${line.value}`, {
      number: line.number, names: line.names.join(", "),
    }));
    item.dataset.level = line.level;
    return item;
  }));
}

// What keeps a reader away, the last thing that it refused, and how much of it nobody understood. The driver's sentence is English, for the technician.
export function drawReaders(list, readers, language, clockAt) {
  list.replaceChildren(...readers.map((reader) => {
    const item = element("li", reader.away ? "away" : "");
    item.append(element("span", "name", reader.name));
    if (reader.away) item.append(element("span", "", translate(language, "staff.readers.away")), technicianWords(reader.away));
    if (reader.refused) {
      const times = { number: reader.count, time: clockAt(reader.refused_s) };
      item.append(
        element("span", "", translate(language, `staff.refused.${reader.cause}`)),
        element("span", "time", translate(language, "staff.readers.times", times)),
        technicianWords(reader.refused),
      );
    }
    if (reader.unread) item.append(element("span", "", translate(language, "staff.readers.unread", { number: reader.unread })));
    return item;
  }));
}

function technicianWords(sentence) {
  const words = element("code", "", sentence);
  words.lang = "en";
  return words;
}

// `voided` holds the ids of the rows that this page voided. `onVoid` is null where nobody is signed in.
export function drawNotices(list, view, language, clock, voided, onVoid) {
  list.replaceChildren(...view.notices.map((notice) => noticeRow(notice, language, clock, voided, onVoid)));
}

export const rowId = (staff) => `${staff.entry_epoch}/${staff.entry_seq}`;

function noticeRow(notice, language, clock, voided, onVoid) {
  const { staff } = notice;
  const item = element("li", ATTENTION.has(notice.state) ? "attention" : "");
  const details = element("div", "");
  const top = element("div", "");
  top.append(
    element("span", "name", staff.name || translate(language, `child.${notice.state}.title`)), " ",
    element("span", "group", staff.group), " ",
    element("span", "time", clock(notice.age_s)),
  );
  details.append(top, ...[staff.reason, ...staff.notes].map((code) => element("div", "why", reasonWords(language, code))));
  if (staff.candidates.length) {
    details.append(element("div", "why", translate(language, "staff.candidates", { names: staff.candidates.join(", ") })));
  }
  if (staff.hints.length) {
    const hints = element("div", "hints");
    hints.append(...staff.hints.map((hint) => element("span", "", hintWords(language, hint))));
    details.append(hints);
  }
  item.append(element("span", "sign", SIGNS[notice.state] ?? ""), details);
  if (voided.has(rowId(staff))) {
    item.classList.add("voided");
    item.append(element("span", "time", translate(language, "staff.taken_back")));
  } else if (onVoid && staff.entry_seq > 0) {
    const button = element("button", "quiet", translate(language, "staff.take_back"));
    button.addEventListener("click", () => onVoid(notice));
    item.append(button);
  }
  return item;
}

function reasonWords(language, code) {
  if (!code) return ""; // an ordinary entry needs no words
  const key = `reason.${code}`;
  return hasWords(language, key) ? translate(language, key) : code;
}

function hintWords(language, hint) {
  const key = `hint.${hint}`;
  return hasWords(language, key) ? translate(language, key) : hint;
}

export function element(tag, className, words = "") {
  const created = document.createElement(tag);
  if (className) created.className = className;
  if (words) {
    created.textContent = words;
    created.dir = "auto";
  }
  return created;
}
