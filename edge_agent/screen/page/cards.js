// A new card in the place of a lost one: the desk waits until a card is shown, or its printed number is typed.

import { $, showFailure, showOutcome, t } from "/page/desk.js";
import { request } from "/page/request.js";

const ASK_MS = 500;

let asker = 0;
let progress = null;
let onEnd = () => {};

// `ended()` is called when the dialog closes.
export function startCards(ended) {
  onEnd = ended;
  $("card-form").addEventListener("submit", async (event) => {
    event.preventDefault();
    const response = await request("/staff/card/number", { number: $("card-number").value });
    showProgress(response.ok ? response.body : { ...progress, problem: response.why });
  });
  $("card-cancel").addEventListener("click", cancel);
  $("card").addEventListener("cancel", (event) => { event.preventDefault(); cancel(); });
}

// Waits for the new card of this person.
export async function giveCard(person) {
  const response = await request("/staff/card/start", { person: person.person });
  if (!response.ok) {
    showFailure(response);
    return;
  }
  $("card-number").value = "";
  $("card").showModal();
  $("card-number").focus();
  showProgress(response.body);
  clearInterval(asker);
  asker = setInterval(ask, ASK_MS);
}

async function ask() {
  const response = await request("/staff/card");
  if (!$("card").open) return;
  if (response.ok) showProgress(response.body);
  else close(() => showFailure(response));
}

async function cancel() {
  await request("/staff/card/stop", {});
  close(() => {});
}

function close(say) {
  clearInterval(asker);
  progress = null;
  $("card").close();
  say();
  onEnd();
}

function showProgress(next) {
  if (next.state === "done") {
    close(() => showOutcome("staff.card.done", { name: next.name, number: next.blocked }));
    return;
  }
  if (next.state === "none") {
    close(() => showOutcome("staff.card.late", { name: progress?.name ?? "" }, true));
    return;
  }
  progress = next;
  $("card-who").textContent = `${next.name}  ${next.group}`;
  $("card-left").textContent = t("staff.card.left", { number: next.seconds });
  const words = next.problem ? t(`staff.why.${next.problem}`, { group: next.owner_group || "—" }) : "";
  if ($("card-problem").textContent !== words) $("card-problem").textContent = words; // said once
}
