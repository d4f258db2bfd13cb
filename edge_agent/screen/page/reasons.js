// The dialog before each act. Resolves to the chosen reason, or to null.

import { $, t } from "/page/desk.js";
import { element } from "/page/feed.js";

export const ENTRY_REASONS = ["forgot_card", "lost_card", "palm_unread", "new_pupil", "reader_down"];
export const GUEST_REASONS = ["inspection", "parents", "other_school", "staff"];
export const PAPER_REASONS = ["no_power", "kiosk_down", "away"];
export const VOID_REASONS = ["wrong_person", "did_not_eat", "twice"];
export const CLOCK_REASONS = ["compared", "set_since"];

// `likely` is the code of the reason that is chosen to begin with, or "".
export function confirmReason(title, who, kind, codes, likely = "") {
  const dialog = $("confirm");
  let chosen = "";
  $("confirm-title").textContent = t(title);
  $("confirm-who").textContent = who;
  $("own-reason").value = "";
  const buttons = codes.map((code) => {
    const button = element("button", "", t(`staff.${kind}.${code}`));
    button.type = "button";
    button.setAttribute("role", "radio");
    button.addEventListener("click", () => { $("own-reason").value = ""; pickReason(code); });
    return button;
  });
  function pickReason(code) {
    chosen = code;
    buttons.forEach((button, index) => button.setAttribute("aria-checked", String(codes[index] === code)));
    $("confirm-do").disabled = !chosen;
  }
  $("reasons").replaceChildren(...buttons);
  $("own-reason").oninput = () => {
    const own = $("own-reason").value.trim();
    pickReason("");
    chosen = own;
    $("confirm-do").disabled = !own;
  };
  pickReason(likely);
  dialog.showModal();
  if (likely) $("confirm-do").focus();
  return new Promise((resolve) => {
    const closeWith = (reason) => { dialog.close(); resolve(reason); };
    $("confirm-do").onclick = () => closeWith(chosen);
    $("confirm-cancel").onclick = () => closeWith(null);
    dialog.oncancel = () => closeWith(null);
    dialog.firstElementChild.onsubmit = (event) => { // the Enter key in the text field confirms, if there is a reason
      event.preventDefault();
      if (chosen) closeWith(chosen);
    };
  });
}
