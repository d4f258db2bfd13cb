// What the parts of the staff's page share: its language, the line that says how an act ended, and rows to choose from.

import { element } from "/page/feed.js";
import { LANGUAGES, translate } from "/page/words.js";

export const $ = (id) => document.getElementById(id);

let language = localStorage.getItem("canteen-language") ?? "kk";
if (!LANGUAGES.includes(language)) language = LANGUAGES[0];
let outcome = null; // {key, values, failed}: drawn again when the language changes
let onSignedOut = () => {};

export const t = (key, values) => translate(language, key, values);
export const spokenLanguage = () => language;

// Draws the page's fixed words, and the languages to choose from; `onChoice()` draws the rest in another one.
export function drawWords(onChoice) {
  document.documentElement.lang = language;
  for (const labelled of document.querySelectorAll("[data-t]")) labelled.textContent = t(labelled.dataset.t);
  for (const labelled of document.querySelectorAll("[data-label]")) labelled.setAttribute("aria-label", t(labelled.dataset.label));
  $("languages").replaceChildren(...LANGUAGES.map((choice) => {
    const button = element("button", "", choice.toUpperCase());
    button.setAttribute("aria-pressed", String(choice === language));
    button.addEventListener("click", () => {
      language = choice;
      localStorage.setItem("canteen-language", choice);
      onChoice();
    });
    return button;
  }));
}

export function whenSignedOut(act) {
  onSignedOut = act;
}

export function drawOutcome() {
  $("outcome").textContent = outcome ? t(outcome.key, outcome.values) : "";
  $("outcome").className = outcome?.failed ? "failed" : "";
}

export function showOutcome(key, values = {}, failed = false) {
  outcome = { key, values, failed };
  drawOutcome();
  $("outcome").scrollIntoView({ block: "nearest" });
}

export function clearOutcome() {
  outcome = null;
  drawOutcome();
}

export function showFailure({ why, wait }) {
  showOutcome(`staff.why.${why}`, { number: wait }, true);
  if (why === "signed_out") onSignedOut();
}

export function choiceItem(words, group, onChoose) {
  const item = document.createElement("li");
  const button = element("button", "");
  if (group) button.append(element("span", "group", group));
  button.append(element("span", "", words));
  button.addEventListener("click", onChoose);
  item.append(button);
  return item;
}

// A person's name, with what tells a namesake apart.
export function nameWords(person) {
  return person.apart ? `${person.name} · ${t("staff.search.card", { number: person.apart })}` : person.name;
}

export const sessionName = (session) => session[`name_${language}`] || session.name;

// What waits in memory for the journal is not said to be recorded.
export function showEntered(body, key, values) {
  if (body.waiting) showOutcome("staff.entered_waiting", { number: body.waiting });
  else showOutcome(key, values);
}
