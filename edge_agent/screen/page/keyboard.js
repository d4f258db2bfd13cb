// The keyboard on the page, for a kiosk without one. It comes when a field is touched, and goes when a real key is pressed.

import { t, spokenLanguage } from "/page/desk.js";
import { element } from "/page/feed.js";

const RUSSIAN = ["йцукенгшщзхъ", "фывапролджэ", "ячсмитьбюё-"];
const LAYOUTS = { kk: ["әіңғүұқөһ", ...RUSSIAN], ru: RUSSIAN, digits: ["123", "456", "789"] };
const NAMES = { kk: "ҚАЗ", ru: "РУС", digits: "123" };
const FIELDS = "input:not([type=checkbox], [type=radio], [type=date])"; // the browser has a calendar of its own

let board = null;
let field = null;
let layout = "kk";
let isUpper = false;
let isPressed = false; // a finger is down
let isWanted = true; // False after a real key: whoever types on one needs no other

export function startKeyboard() {
  board = element("section", "");
  board.id = "keyboard";
  board.hidden = true;
  board.addEventListener("pointerdown", (event) => event.preventDefault()); // the field keeps the focus
  document.body.append(board);
  addEventListener("pointerdown", (event) => {
    isPressed = true;
    if (board.contains(event.target)) return;
    isWanted = true;
    if (event.target === field) show(field);
  }, true);
  for (const end of ["pointerup", "pointercancel"]) {
    addEventListener(end, () => {
      isPressed = false;
      setTimeout(hideWithoutField);
    }, true);
  }
  addEventListener("keydown", (event) => {
    if (!event.isTrusted || event.key === "Unidentified") return;
    isWanted = false;
    hide();
  }, true);
  addEventListener("focusin", ({ target }) => {
    if (target.matches(FIELDS)) show(target);
    else setTimeout(hideWithoutField);
  });
  addEventListener("focusout", () => setTimeout(hideWithoutField));
}

function show(target) {
  if (field !== target) layout = target.inputMode === "numeric" ? "digits" : spokenLanguage() === "ru" ? "ru" : "kk";
  field = target;
  if (!isWanted) return;
  isUpper = false;
  (target.closest("dialog") ?? document.body).append(board); // outside an open dialog nothing can be touched
  draw();
  board.hidden = false;
  document.body.dataset.keyboard = layout;
  document.documentElement.style.setProperty("--keyboard", `${board.offsetHeight}px`);
  target.scrollIntoView({ block: "nearest" });
}

// The page moves when the keyboard goes: never between the finger's touch and the click that comes of it.
function hideWithoutField() {
  if (!isPressed && !document.activeElement?.matches(FIELDS)) hide();
}

function hide() {
  board.hidden = true;
  delete document.body.dataset.keyboard;
}

function draw() {
  board.setAttribute("aria-label", t("staff.keys.title"));
  board.dataset.layout = layout;
  const rows = LAYOUTS[layout].map((letters) => row([...letters].map((letter) => {
    const shown = isUpper ? letter.toUpperCase() : letter;
    return key(shown, "", () => type(shown));
  })));
  const others = Object.keys(LAYOUTS).filter((name) => name !== layout);
  const switches = others.map((name) => key(NAMES[name], "", () => choose(name)));
  const remove = key("⌫", "staff.keys.delete", () => type(null));
  const done = key("⏎", "staff.keys.done", finish);
  const away = key("▾", "staff.keys.hide", hide);
  if (layout === "digits") rows.push(row([remove, key("0", "", () => type("0")), done]), row([...switches, away]));
  else {
    const shift = key("⇧", "staff.keys.capital", () => { isUpper = !isUpper; draw(); });
    shift.setAttribute("aria-pressed", String(isUpper));
    const space = key(" ", "staff.keys.space", () => type(" "));
    space.classList.add("wide");
    rows.push(row([shift, ...switches, space, remove, done, away]));
  }
  board.replaceChildren(...rows);
}

function row(keys) {
  const line = element("div", "keys");
  line.append(...keys);
  return line;
}

function key(words, label, act) {
  const button = element("button", "", words);
  button.type = "button";
  button.tabIndex = -1; // a real keyboard goes past it
  if (label) button.setAttribute("aria-label", t(label));
  button.addEventListener("click", act);
  return button;
}

function choose(name) {
  layout = name;
  show(field);
}

// Types `letter` in place of what is selected; null takes away what is selected, or the letter before.
function type(letter) {
  const { value, maxLength } = field;
  let { selectionStart: start, selectionEnd: end } = field;
  if (letter === null && start === end) start = Math.max(0, start - 1);
  const next = value.slice(0, start) + (letter ?? "") + value.slice(end);
  if (maxLength >= 0 && next.length > maxLength) return;
  field.setRangeText(letter ?? "", start, end, "end");
  field.dispatchEvent(new Event("input", { bubbles: true }));
  if (isUpper) {
    isUpper = false;
    draw();
  }
}

function finish() {
  const { form } = field;
  hide();
  if (form) form.requestSubmit();
}
