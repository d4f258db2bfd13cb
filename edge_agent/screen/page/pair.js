// The tablet's own page of pairing: the code from the kiosk's drawing, or typed, makes it a paired tablet.

import { $, drawOutcome, drawWords, showFailure, showOutcome } from "/page/desk.js";
import { request } from "/page/request.js";

function draw() {
  drawWords(draw);
  drawOutcome();
}

async function pair(code) {
  const response = await request("/pair", { code });
  if (response.ok) showOutcome("pair.done", { name: response.body.name });
  else showFailure(response);
  $("pair").hidden = response.ok;
  $("open").hidden = !response.ok;
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
