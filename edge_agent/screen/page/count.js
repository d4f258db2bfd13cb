// The count by hand while the journal cannot be written. It lives in this browser, so a reload does not lose it, and
// names wait here until each has been entered or crossed out by the staff.

const STORE = "canteen-count";

let count = { number: 0, waiting: [] };
let redraw = () => {};

export function start(onChange) {
  redraw = onChange;
  try {
    count = JSON.parse(localStorage.getItem(STORE)) ?? count;
  } catch {
    localStorage.removeItem(STORE); // not ours, or cut off while it was written
  }
}

export const number = () => count.number;
export const waiting = () => count.waiting;
export const needed = () => count.number > 0 || count.waiting.length > 0;

export function add(step) {
  count.number = Math.min(9999, Math.max(0, count.number + step));
  keep();
}

export function remember(person, name, group) {
  if (count.waiting.length >= 500 || count.waiting.some((one) => one.person === person)) return;
  count.waiting.push({ person, name, group });
  keep();
}

export function forget(person) {
  count.waiting = count.waiting.filter((one) => one.person !== person);
  keep();
}

export function clear() {
  count = { number: 0, waiting: [] };
  keep();
}

function keep() {
  localStorage.setItem(STORE, JSON.stringify(count));
  redraw();
}
