// The summary of a day: a sheet for the printer, and a table that a spreadsheet opens.

import { sessionName, t } from "/page/desk.js";
import { element } from "/page/feed.js";
import { guestsName, payerName } from "/page/guests.js";

const COLUMNS = [
  "staff.today.column.time", "staff.today.column.name", "staff.today.column.class", "staff.today.column.meal",
  "staff.today.column.method", "staff.today.column.state", "staff.today.column.operator", "staff.today.column.reason",
];

export function fillSheet(sheet, board) {
  if (!board) return;
  const parts = [element("h1", "", t("staff.today.summary", { day: board.day }))];
  for (const session of board.sessions) {
    const came = board.rows.filter((row) => row.session === session.session && !row.voided);
    const values = { name: sessionName(session), number: session.eaten, waiting: session.waiting.length };
    parts.push(
      element("h2", "", `${t("staff.today.meal", values)} (${session.starts}–${session.ends})`),
      listOf(came.map((row) => `${row.at} ${row.guests ? guestsWords(row) : `${row.name} ${row.group}`}`)),
      element("h3", "", t("staff.today.waiting")),
      listOf(session.waiting.map((person) => `${person.name} ${person.group}`)),
    );
  }
  sheet.replaceChildren(...parts);
}

// The payer is left out where the agent does not name it: on a screen in the hall.
const guestsWords = (row) => [guestsName(row), row.payer && payerName(row.payer)].filter(Boolean).join(" · ");

function listOf(lines) {
  const list = element("ul", "");
  list.append(...lines.map((line) => element("li", "", line)));
  return list;
}

export function saveTable(board) {
  if (!board) return;
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([`\ufeff${tableOf(board)}`], { type: "text/csv;charset=utf-8" }));
  link.download = `canteen-${board.day}.csv`;
  link.click();
  URL.revokeObjectURL(link.href);
}

// Semicolons part the columns: so do the spreadsheets of a country that writes 0,5.
function tableOf(board) {
  const meals = new Map(board.sessions.map((session) => [session.session, sessionName(session)]));
  const heads = COLUMNS.map((key) => t(key));
  const came = [...board.rows].reverse().map((row) => [
    row.at, row.guests ? guestsName(row) : row.name, row.group, meals.get(row.session) ?? row.session,
    row.guests ? row.payer && payerName(row.payer) : t(`staff.today.method.${row.method}`),
    row.voided ? t("staff.taken_back") : t("staff.today.came"), row.operator, row.reason,
  ]);
  const waiting = board.sessions.flatMap((session) => session.waiting.map((person) => [
    "", person.name, person.group, sessionName(session), "", t("staff.today.waiting"), "", "",
  ]));
  return [heads, ...came, ...waiting].map((row) => row.map(cell).join(";")).join("\r\n");
}

// A text that a spreadsheet would take for a formula gets an apostrophe.
function cell(text) {
  const safe = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return `"${safe.replaceAll('"', '""')}"`;
}
