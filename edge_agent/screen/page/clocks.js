// Terminals with a wrong clock, whose rows are held until somebody confirms how far it was off.

import { $, choiceItem, showFailure, showOutcome, spokenLanguage, t } from "/page/desk.js";
import { CLOCK_REASONS, confirmReason } from "/page/reasons.js";
import { request } from "/page/request.js";

let wrongClocks = [];
let saidClocks = ""; // as they stand on the page

function sayClock({ terminal, offset_s: offsetS, rows }) {
  const minutes = Math.round(Math.abs(offsetS) / 60);
  const values = { terminal, hours: Math.floor(minutes / 60), minutes: minutes % 60, number: rows };
  return offsetS > 0 ? t("staff.clocks.ahead", values) : t("staff.clocks.behind", values);
}

export function drawClocks() {
  $("clocks").hidden = wrongClocks.length === 0;
  // Drawn anew only where it differs: a click on a button that is replaced meanwhile is lost.
  const said = JSON.stringify([spokenLanguage(), wrongClocks]);
  if (said === saidClocks) return;
  saidClocks = said;
  $("clock-list").replaceChildren(...wrongClocks.map((wrong) => choiceItem(sayClock(wrong), "", () => confirmClock(wrong))));
}

export async function refreshClocks() {
  const response = await request("/staff/clocks");
  wrongClocks = response.ok ? response.body : [];
}

async function confirmClock(wrong) {
  const reason = await confirmReason("staff.confirm_clock", sayClock(wrong), "clock_checked", CLOCK_REASONS);
  if (reason === null) return;
  const response = await request("/staff/clock", { run: wrong.run, reason });
  if (response.ok) showOutcome("staff.clock_confirmed", { terminal: wrong.terminal, number: response.body.rows });
  else showFailure(response);
  await refreshClocks();
  drawClocks();
}

export function forgetClocks() {
  wrongClocks = []; // no name of the last shift stays on the screen
  drawClocks();
}
