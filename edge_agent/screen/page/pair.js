// The tablet's own page of pairing: the code from the kiosk's drawing, or typed, makes it a paired tablet.

import { LANGUAGES, translate } from "/page/words.js";

const $ = (id) => document.getElementById(id);
let language = localStorage.getItem("canteen-language");
if (!LANGUAGES.includes(language)) language = LANGUAGES[0];
let outcome = null; // {key, values, failed}

function draw() {
  document.documentElement.lang = language;
  for (const labelled of document.querySelectorAll("[data-t]")) labelled.textContent = translate(language, labelled.dataset.t);
  $("languages").replaceChildren(...LANGUAGES.map((choice) => {
    const button = document.createElement("button");
    button.textContent = choice.toUpperCase();
    button.setAttribute("aria-pressed", String(choice === language));
    button.addEventListener("click", () => {
      language = choice;
      localStorage.setItem("canteen-language", choice);
      draw();
    });
    return button;
  }));
  $("outcome").textContent = outcome ? translate(language, outcome.key, outcome.values) : "";
  $("outcome").className = outcome?.failed ? "failed" : "";
}

async function pair(code) {
  let response = null;
  try {
    response = await fetch("/pair", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ code }) });
    const body = await response.json();
    outcome = response.ok
      ? { key: "pair.done", values: { name: body.name } }
      : { key: `staff.why.${body.why}`, failed: true };
  } catch {
    outcome = { key: "staff.why.unreachable", failed: true };
  }
  $("pair").hidden = response?.ok ?? false;
  $("open").hidden = !$("pair").hidden;
  draw();
}

$("pair").addEventListener("submit", (event) => {
  event.preventDefault();
  pair($("code").value);
});
const scanned = location.hash.slice(1);
history.replaceState(null, "", "/pair"); // the code stays in no history
draw();
if (scanned) {
  $("code").value = scanned;
  pair(scanned);
}
