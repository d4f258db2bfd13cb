// The tick-list of a class: those present are ticked, the rest are entered by hand or confirmed absent.

import { $, choiceItem, nameWords, showEntered, showFailure, showOutcome, t } from "/page/desk.js";
import { element } from "/page/feed.js";
import { confirmReason, ENTRY_REASONS } from "/page/reasons.js";
import { request } from "/page/request.js";
import { requestVoid, showVoided } from "/page/voiding.js";

let group = ""; // the class that is open
let people = [];

export function startTicks() {
  $("ticks-all").addEventListener("click", () => {
    for (const box of boxes()) box.checked = true;
    drawReady();
  });
  $("ticks-do").addEventListener("click", enterTicked);
}

export async function drawGroups() {
  const response = await request("/staff/groups");
  if (response.ok) $("groups").replaceChildren(...response.body.map((name) => choiceItem(name, "", () => openClass(name))));
}

export function forgetTicks() {
  group = "";
  people = [];
  $("ticks").hidden = true;
  for (const id of ["groups", "tick-rows"]) $(id).replaceChildren();
}

async function openClass(name) {
  const response = await request("/staff/ticks", { group: name });
  if (!response.ok) {
    showFailure(response);
    return;
  }
  group = name;
  people = response.body;
  $("ticks").hidden = false;
  drawTicks();
  $("ticks-title").focus();
}

const boxes = () => [...$("tick-rows").querySelectorAll("input:not(:disabled)")];

export function drawTicks() {
  $("ticks-title").textContent = `${group} · ${t("staff.ticks.present", { number: people.filter((person) => person.at).length, all: people.length })}`;
  $("tick-rows").replaceChildren(...people.map(tickRow));
  drawReady();
}

function tickRow(person) {
  const item = element("li", "");
  const label = element("label", "tick");
  const box = document.createElement("input");
  box.type = "checkbox";
  box.value = person.person;
  box.checked = box.disabled = person.at !== "";
  box.addEventListener("change", drawReady);
  label.append(box, element("span", "name", `${nameWords(person)} ${person.at}`));
  item.append(label);
  if (person.at) {
    const button = element("button", "quiet", t("staff.take_back"));
    button.setAttribute("aria-label", `${t("staff.take_back")}: ${person.name}`);
    button.addEventListener("click", () => voidTick(person));
    item.append(button);
  }
  return item;
}

function drawReady() {
  const ticked = boxes().filter((box) => box.checked).length;
  $("ticks-do").disabled = ticked === 0;
  $("ticks-do").textContent = t("staff.ticks.enter", { number: ticked });
  $("ticks-all").disabled = boxes().length === 0;
  if (people.length && boxes().length === 0) showOutcome("staff.ticks.all_in", { name: group });
}

async function enterTicked() {
  const ticked = new Set(boxes().filter((box) => box.checked).map((box) => box.value));
  const absent = people.filter((person) => !person.at && !ticked.has(person.person)).map(nameWords).join(", ");
  const who = t("staff.ticks.sure", { name: group, number: ticked.size, names: absent || "—" });
  const reason = await confirmReason("staff.confirm_class", who, "by_hand", ENTRY_REASONS);
  if (reason === null) return;
  const response = await request("/staff/tick", { people: [...ticked], reason });
  await openClass(group);
  if (!response.ok) {
    showFailure(response);
    return;
  }
  const values = { name: group, number: response.body.rows, already: ticked.size - response.body.rows };
  showEntered(response.body, values.already ? "staff.ticks.entered" : "staff.entered_class", values);
}

async function voidTick(person) {
  const response = await requestVoid(person);
  if (response === null) return;
  await openClass(group);
  showVoided(response, person.name);
}
