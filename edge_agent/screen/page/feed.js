// The staff's view of the last children and of the kiosk's health.

import { hasWords, translate } from "/page/words.js";

export const SIGNS = { welcome: "✓", goodbye: "→", noted: "☰", waiting: "⧗", again: "↻", enrol: "＋", show_palm: "✋", use_card: "▭", ask_staff: "?", not_recorded: "◆" };
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

// `voided` holds the ids of the rows that this page voided. `acts` are what the staff can do on a row: `onVoid(notice)`,
// `onMeant(notice, name)` for whom the reader meant, `onOther(notice)`, `onCard(notice)` where `givesCard(notice)`; null
// where nobody is signed in.
// A row that says the same stays where it is: the click that somebody has begun on it is not lost because another child comes.
export function drawNotices(list, view, language, clock, voided, acts) {
  const standing = new Map([...list.children].map((row) => [row.dataset.says, row]));
  const rows = view.notices.map((notice) => {
    const codes = reasonCodes(notice.staff, view.health);
    const says = JSON.stringify([notice.state, notice.staff, codes, clock(notice.age_s), language, voided.has(rowId(notice.staff)), acts !== null]);
    const row = standing.get(says) ?? noticeRow(notice, codes, language, clock, voided, acts);
    standing.delete(says); // of two rows that say the same, the second needs an element of its own
    row.dataset.says = says;
    return row;
  });
  for (const row of standing.values()) row.remove();
  rows.forEach((row, place) => {
    if (list.children[place] !== row) list.insertBefore(row, list.children[place] ?? null);
  });
}

export const rowId = (staff) => `${staff.entry_epoch}/${staff.entry_seq}`;

// What the strip above already says of every row.
const SAID_BY = { clock_uncertain: "clock", stale_roster: "roster" };

function reasonCodes(staff, health) {
  const said = health.filter((line) => line.level !== "ok").map((line) => line.subject);
  return [staff.reason, ...staff.notes].filter((code) => !said.includes(SAID_BY[code]));
}

function noticeRow(notice, codes, language, clock, voided, acts) {
  const { staff } = notice;
  const item = element("li", ATTENTION.has(notice.state) ? "attention" : "");
  const details = element("div", "");
  const top = element("div", "");
  top.append(
    element("span", "name", staff.name || translate(language, `child.${notice.state}.title`)), " ",
    element("span", "group", staff.group), " ",
    element("span", "time", clock(notice.age_s)),
  );
  details.append(top, ...codes.map((code) => element("div", "why", reasonWords(language, code))));
  if (staff.candidates.length) {
    details.append(element("div", "why", translate(language, "staff.candidates", { names: staff.candidates.join(", ") })));
  }
  if (staff.hints.length) {
    const hints = element("div", "hints");
    hints.append(...staff.hints.map((hint) => element("span", "", hintWords(language, hint))));
    details.append(hints);
  }
  if (acts && ATTENTION.has(notice.state)) details.append(meantButtons(notice, language, acts));
  item.append(element("span", "sign", SIGNS[notice.state] ?? ""), details);
  if (voided.has(rowId(staff))) {
    item.classList.add("voided");
    item.append(element("span", "time", translate(language, "staff.taken_back")));
  } else if (acts && staff.entry_seq > 0) {
    const button = element("button", "quiet", translate(language, "staff.take_back"));
    button.addEventListener("click", () => acts.onVoid(notice));
    item.append(button);
  }
  return item;
}

// Whom the reader meant, to be entered by hand; or somebody else, to be looked for.
function meantButtons(notice, language, acts) {
  const buttons = element("div", "acts");
  const meant = notice.staff.name ? [notice.staff.name] : notice.staff.candidates;
  buttons.append(...meant.map((name) => {
    const button = element("button", "strong", translate(language, "staff.search.meant", { name }));
    button.addEventListener("click", () => acts.onMeant(notice, name));
    return button;
  }));
  const other = element("button", "quiet", translate(language, meant.length ? "staff.search.other" : "staff.search.look"));
  other.addEventListener("click", () => acts.onOther(notice));
  buttons.append(other);
  if (acts.givesCard(notice)) {
    const card = element("button", "quiet", translate(language, "staff.card.give"));
    card.addEventListener("click", () => acts.onCard(notice));
    buttons.append(card);
  }
  if (acts.mayCall()) {
    const call = element("button", "quiet", translate(language, "staff.technician.call"));
    call.addEventListener("click", () => acts.onCall(notice));
    buttons.append(call);
  }
  return buttons;
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
