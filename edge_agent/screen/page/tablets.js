// Tablets on the staff's page: the paired ones, and on the kiosk's own screen the two drawings that pair another one.

import { $, showFailure, showOutcome, t } from "/page/desk.js";
import { element } from "/page/feed.js";
import { request } from "/page/request.js";

const LOOK_MS = 2000;
const SVG = "http://www.w3.org/2000/svg";

let mayList = false;
let tablets = null; // the paired ones, once they are known
let mayPair = false; // here, on the kiosk's own screen
let pairing = null; // what the kiosk opened: code, fingerprint, drawings
let hasCompared = false;
let host = ""; // of the drawing that is shown; empty: the first one
let timer = 0;
let momentWords = (text) => text;

export const isPairing = () => pairing !== null;

export function drawTablets(session) {
  const may = session.rights.includes("tablets");
  if (may !== mayList) {
    mayList = may;
    endPairing();
    tablets = null;
    if (may) listTablets();
  }
  drawList();
  drawPairing();
}

async function listTablets() {
  const response = await request("/staff/tablets");
  if (!response.ok || !mayList) return;
  ({ tablets, may_pair: mayPair } = response.body);
  drawList();
}

function drawList() {
  $("tablets").hidden = tablets === null;
  if (tablets === null) return;
  $("tablet-add").hidden = !mayPair || isPairing();
  $("tablet-elsewhere").hidden = mayPair;
  $("tablet-none").hidden = tablets.length > 0;
  const drawn = JSON.stringify([tablets, t("staff.tablets.revoke")]);
  if ($("tablet-list").dataset.says === drawn) return;
  $("tablet-list").dataset.says = drawn;
  $("tablet-list").replaceChildren(...tablets.map(tabletItem));
}

function tabletItem(tablet) {
  const item = element("li", "");
  const name = element("span", "name", tablet.name);
  name.append(element("span", "roles", t("staff.tablets.row", {
    paired: momentWords(tablet.paired_at), seen: momentWords(tablet.seen_at), from: tablet.seen_from,
  })));
  const button = element("button", "quiet", t("staff.tablets.revoke"));
  button.setAttribute("aria-label", `${t("staff.tablets.revoke")}: ${tablet.name}`);
  button.addEventListener("click", async () => { // the first press asks, the second one does it
    if (!button.dataset.asked) {
      button.dataset.asked = "yes";
      button.textContent = t("staff.operators.sure");
      button.setAttribute("aria-label", `${t("staff.operators.sure")} ${tablet.name}`);
      return;
    }
    const response = await request("/staff/tablets/revoke", { tablet: tablet.id });
    if (response.ok) showOutcome("staff.tablets.revoked", { name: tablet.name });
    else showFailure(response);
    await listTablets();
  });
  item.append(name, button);
  return item;
}

function endPairing() {
  pairing = null;
  hasCompared = false;
  host = "";
  clearTimeout(timer);
}

async function look() {
  const response = await request("/staff/tablets");
  if (!isPairing()) return;
  if (response.ok && !response.body.is_pairing) {
    const isThere = response.body.tablets.length > pairing.before;
    if (isThere) showOutcome("staff.tablets.paired", { name: pairing.name });
    else showOutcome("staff.tablets.over", {}, true);
    endPairing();
    drawPairing();
    await listTablets();
    return;
  }
  timer = setTimeout(look, LOOK_MS);
}

function drawPairing() {
  $("tablet-pairing").hidden = !isPairing();
  if (!isPairing()) return;
  $("tablet-add").hidden = true;
  $("tablet-compare").hidden = hasCompared;
  $("tablet-scan").hidden = !hasCompared;
  $("tablet-step").textContent = t(hasCompared ? "staff.tablets.scan" : "staff.tablets.get");
  $("tablet-fingerprint").textContent = pairing.fingerprint;
  $("tablet-code").textContent = pairing.code.replace(/(?=(....)+$)/g, " ").trim();
  const drawings = hasCompared ? pairing.pairing : pairing.certificate;
  const shown = drawings.find((drawing) => drawing.host === host) ?? drawings[0];
  $("tablet-url").textContent = shown.url.split("#")[0];
  $("tablet-qr").replaceChildren(drawCode(shown));
  $("tablet-hosts").replaceChildren(...(drawings.length < 2 ? [] : drawings.map((drawing) => {
    const button = element("button", "", drawing.host);
    button.type = "button";
    button.setAttribute("aria-pressed", String(drawing === shown));
    button.addEventListener("click", () => {
      host = drawing.host;
      drawPairing();
    });
    return button;
  })));
}

function drawCode({ side, path }) {
  const svg = document.createElementNS(SVG, "svg");
  const quiet = 4; // fields of white around it, as ISO 18004 asks for
  svg.setAttribute("viewBox", `${-quiet} ${-quiet} ${side + 2 * quiet} ${side + 2 * quiet}`);
  svg.setAttribute("shape-rendering", "crispEdges");
  const dark = document.createElementNS(SVG, "path");
  dark.setAttribute("d", path);
  svg.append(dark);
  return svg;
}

// `words(text)` says a time of ISO 8601 as the school's clock has it.
export function startTablets(words) {
  momentWords = words;
  $("tablet-add").addEventListener("submit", async (event) => {
    event.preventDefault();
    const before = $("tablet-list").children.length;
    const response = await request("/staff/tablets/pair", { name: $("tablet-name").value });
    if (!response.ok) {
      showFailure(response);
      return;
    }
    $("tablet-name").value = "";
    pairing = { ...response.body, before };
    drawPairing();
    $("tablet-pairing").scrollIntoView({ block: "nearest" });
    timer = setTimeout(look, LOOK_MS);
  });
  $("tablet-agrees").addEventListener("click", () => {
    hasCompared = true;
    host = "";
    drawPairing();
  });
  $("tablet-cancel").addEventListener("click", async () => {
    endPairing();
    drawPairing();
    await request("/staff/tablets/close", {});
    await listTablets();
  });
}
