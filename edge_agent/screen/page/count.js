// While the journal cannot be written: who waits in the agent's memory, and the count by hand. The agent has both, so
// every page shows the same.

import { element } from "/page/feed.js";
import { request } from "/page/request.js";

const $ = (id) => document.getElementById(id);
let people = []; // who wait, as the agent last listed them
let receivedMs = 0;

// Brings the names of those who wait; nobody's where nobody is signed in.
export async function refreshWaiting(isSignedIn) {
  const response = isSignedIn ? await request("/staff/waiting") : { ok: false };
  people = response.ok ? response.body : [];
  receivedMs = Date.now();
}

export const changeCount = (step) => request("/staff/count", { step });

export function drawWaiting(view, isSignedIn, t, clockAt) {
  const waiting = view?.waiting ?? 0;
  $("waiting").hidden = waiting === 0;
  $("waiting-title").textContent = t("staff.waiting.title", { number: waiting });
  $("waiting-list").replaceChildren(...people.map((person) => {
    const item = document.createElement("li");
    item.append(
      element("span", "name", person.name || t("staff.waiting.unknown")), " ",
      element("span", "group", person.group), " ",
      element("span", "time", clockAt(receivedMs / 1000 - person.age_s)),
    );
    return item;
  }));
  $("count").hidden = !view || (view.recording && view.hand_count === 0);
  $("count-number").textContent = view?.hand_count ?? 0;
  for (const id of ["count-more", "count-less"]) $(id).disabled = !isSignedIn;
  $("count-sign-in").hidden = isSignedIn;
}
