// Meals of guests whom nobody knows: how many, and who pays.

import { $, showFailure, showOutcome, t } from "/page/desk.js";
import { element } from "/page/feed.js";
import { confirmReason, GUEST_REASONS } from "/page/reasons.js";
import { request } from "/page/request.js";
import { hasWords, LANGUAGES } from "/page/words.js";

const GUESTS_MAX = 99; // of one entry, as the agent has it

let payers = [];
let payer = "";

export function startGuests() {
  $("guest-less").addEventListener("click", () => setNumber(number() - 1));
  $("guest-more").addEventListener("click", () => setNumber(number() + 1));
  $("guest-number").addEventListener("input", drawReady);
  $("guests-do").addEventListener("click", enterGuests);
}

export async function refreshGuests() {
  const response = await request("/staff/payers");
  if (!response.ok) return;
  payers = response.body;
  drawGuests();
}

export function drawGuests() {
  $("guest-payers").replaceChildren(...payers.map((code) => {
    const button = element("button", "", payerName(code));
    button.type = "button";
    button.setAttribute("role", "radio");
    button.setAttribute("aria-checked", String(code === payer));
    button.addEventListener("click", () => {
      payer = code;
      drawGuests();
      $("guests-do").focus();
    });
    return button;
  }));
  drawReady();
}

// The words of a code, or the code itself where the settings name one of their own.
export function payerName(code) {
  const key = `staff.guests.pays.${code}`;
  return hasWords(LANGUAGES[0], key) ? t(key) : code;
}

export const guestsName = (row) => t("staff.guests.row", { number: row.guests });

const number = () => Number($("guest-number").value);
const isNumber = (count) => Number.isInteger(count) && count >= 1 && count <= GUESTS_MAX;

function setNumber(count) {
  $("guest-number").value = String(Math.min(GUESTS_MAX, Math.max(1, count || 1)));
  drawReady();
}

function drawReady() {
  $("guests-do").textContent = t("staff.guests.enter", { number: isNumber(number()) ? number() : "–" });
  $("guests-do").disabled = !payer || !isNumber(number());
  $("guest-less").disabled = number() <= 1;
  $("guest-more").disabled = number() >= GUESTS_MAX;
}

async function enterGuests() {
  const counted = number();
  const who = `${guestsName({ guests: counted })} · ${payerName(payer)}`;
  const reason = await confirmReason("staff.guests.confirm", who, "guests.why", GUEST_REASONS);
  if (reason === null) return;
  const response = await request("/staff/guests", { counted, payer, reason });
  if (!response.ok) {
    showFailure(response);
    return;
  }
  payer = "";
  setNumber(1);
  drawGuests();
  showOutcome("staff.guests.done", { number: counted });
}
