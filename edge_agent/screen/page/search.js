// One person by hand: type a few letters, choose, confirm.

import { $, choiceItem, nameWords, showEntered, showFailure, t } from "/page/desk.js";
import { element } from "/page/feed.js";
import { confirmReason, ENTRY_REASONS } from "/page/reasons.js";
import { request } from "/page/request.js";

const FIND_DELAY_MS = 200;
const SHOWN_FIRST = 20; // a longer list says so, and shows the rest when it is asked for

let findTimer = 0;
let likelyReason = () => "";
let saidReason = ""; // of the row from which this search began
let cardGiver = () => null;

// `reason()` returns the reason that the newest row which asks for a person gives, or ""; `giver()` returns the act that
// gives somebody a new card, or null where the operator may not.
export function startSearch(reason, giver) {
  likelyReason = reason;
  cardGiver = giver;
  $("find").addEventListener("input", () => {
    clearTimeout(findTimer);
    findTimer = setTimeout(findPeople, FIND_DELAY_MS);
  });
}

export function clearSearch() {
  clearTimeout(findTimer);
  $("find").value = "";
  saidReason = "";
  $("people").replaceChildren();
}

export function focusSearch() {
  $("find").focus();
  $("find").select();
}

// Looks for a name, or waits for one to be typed; `reason` is what the row said from which the search begins.
export function lookFor(name, reason) {
  clearSearch();
  saidReason = reason;
  $("find").value = name;
  focusSearch();
  findPeople();
}

async function findPeople() {
  const text = $("find").value.trim();
  if (!text) {
    $("people").replaceChildren();
    return;
  }
  const response = await request("/staff/find", { text });
  if (text !== $("find").value.trim()) return; // the text has changed since
  if (response.ok) drawPeople(response.body, SHOWN_FIRST);
  else showFailure(response);
}

function drawPeople(people, number) {
  if (people.length === 0) {
    $("people").replaceChildren(element("li", "hint", t("staff.nobody")));
    return;
  }
  const rows = people.slice(0, number).map(personItem);
  if (people.length > number) {
    rows.unshift(element("li", "hint", t("staff.search.more", { found: people.length, number })));
    rows.push(choiceItem(t("staff.search.all", { number: people.length }), "", () => {
      drawPeople(people, people.length);
      $("people").children[number].querySelector("button").focus();
    }));
  }
  $("people").replaceChildren(...rows);
}

function personItem(person) {
  const item = choiceItem(nameWords(person), person.group, () => enterPerson(person));
  const giveCard = cardGiver();
  if (giveCard) {
    const button = element("button", "quiet", t("staff.card.give"));
    button.setAttribute("aria-label", `${t("staff.card.give")}: ${nameWords(person)}`);
    button.addEventListener("click", () => giveCard(person));
    item.classList.add("with-act");
    item.append(button);
  }
  return item;
}

export async function enterPerson(person, likely = saidReason || likelyReason()) {
  const who = `${nameWords(person)}  ${person.group}`;
  const reason = await confirmReason("staff.confirm_person", who, "by_hand", ENTRY_REASONS, likely);
  if (reason === null) return;
  const response = await request("/staff/enter", { person: person.person, reason });
  if (response.ok) {
    clearSearch();
    showEntered(response.body, "staff.entered", { name: person.name });
  } else showFailure(response);
  focusSearch();
}
