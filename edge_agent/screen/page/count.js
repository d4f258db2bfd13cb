// The count by hand while the journal cannot be written. This browser stores it, so a reload does not lose it. Names
// wait here until the staff have entered each of them, or cleared the list.

const STORE = "canteen-count";

let count = { number: 0, waiting: [] };
let redraw = () => {};

export function startCount(onChange) {
  redraw = onChange;
  try {
    count = JSON.parse(localStorage.getItem(STORE)) ?? count;
  } catch {
    localStorage.removeItem(STORE); // not ours, or cut off while it was written
  }
}

export const countNumber = () => count.number;
export const waitingPeople = () => count.waiting;
export const isCounting = () => count.number > 0 || count.waiting.length > 0;

export function changeCount(step) {
  count.number = Math.min(9999, Math.max(0, count.number + step));
  store();
}

export function addWaiting(person, name, group) {
  if (count.waiting.length >= 500 || count.waiting.some((waiting) => waiting.person === person)) return;
  count.waiting.push({ person, name, group });
  store();
}

export function removeWaiting(person) {
  count.waiting = count.waiting.filter((waiting) => waiting.person !== person);
  store();
}

export function clearCount() {
  count = { number: 0, waiting: [] };
  store();
}

function store() {
  localStorage.setItem(STORE, JSON.stringify(count));
  redraw();
}
