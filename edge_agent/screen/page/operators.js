// Operators on the staff's page: sign in by a name that is chosen, one's own PIN, and what the head does.

import { element } from "/page/feed.js";
import { request } from "/page/request.js";

const ROLES = ["class_teacher", "cook", "head", "technician"];
const $ = (id) => document.getElementById(id);

export function signInParts({ t, showOutcome, showFailure, onSignedIn }) {
  let session = { on: false, operator: "", choices: [], rights: [], first: false };
  let chosen = ""; // id
  let drawnFor = "";

  function draw(nextSession) {
    const hasChanged = session.operator !== nextSession.operator;
    session = nextSession;
    const signedOut = session.on && session.operator === "";
    $("sign-in").hidden = !signedOut || session.choices.length === 0;
    $("first-head").hidden = !signedOut || !session.first;
    $("operators").hidden = !session.rights.includes("operators");
    if (!session.choices.some((choice) => choice.id === chosen)) chosen = session.choices.length === 1 ? session.choices[0].id : "";
    drawChoices();
    drawRoles();
    if (hasChanged || !$("operators").hidden) listOperators();
  }

  function drawChoices() {
    // Drawn anew only where it differs: a click on a button that is replaced meanwhile is lost.
    const drawn = JSON.stringify(session.choices);
    if (drawn !== drawnFor) {
      drawnFor = drawn;
      $("sign-operators").replaceChildren(...session.choices.map((choice) => {
        const button = element("button", "", choice.name);
        button.type = "button";
        button.dataset.id = choice.id;
        button.setAttribute("role", "radio");
        button.addEventListener("click", () => {
          chosen = choice.id;
          askNewPin(false);
          drawChoices();
          $("sign-pin").focus();
        });
        return button;
      }));
    }
    for (const button of $("sign-operators").children) button.setAttribute("aria-checked", String(button.dataset.id === chosen));
  }

  function askNewPin(wanted) {
    $("sign-fresh").hidden = !wanted;
    $("sign-new-pin").required = wanted;
    $("sign-new-pin").value = "";
  }

  async function finish(response, fields) {
    if (!response.ok) {
      showFailure(response);
      return;
    }
    for (const field of fields) $(field).value = "";
    await onSignedIn();
  }

  $("sign-in").addEventListener("submit", async (event) => {
    event.preventDefault();
    if (!chosen) {
      showOutcome("staff.operators.choose", {}, true);
      return;
    }
    const newPin = $("sign-fresh").hidden ? "" : $("sign-new-pin").value;
    const response = newPin
      ? await request("/staff/pin", { operator: chosen, pin: $("sign-pin").value, new_pin: newPin })
      : await request("/staff/sign-in", { pin: $("sign-pin").value, operator: chosen });
    if (response.why === "pin_to_change") {
      askNewPin(true);
      showOutcome("staff.operators.choose_pin");
      $("sign-new-pin").focus();
      return;
    }
    if (!newPin || response.ok) $("sign-pin").value = "";
    if (response.ok) askNewPin(false);
    await finish(response, []);
  });

  $("first-head").addEventListener("submit", async (event) => {
    event.preventDefault();
    const response = await request("/staff/first-head", {
      name: $("first-name").value, pin: $("first-pin").value, new_pin: $("first-own-pin").value,
    });
    await finish(response, ["first-name", "first-pin", "first-own-pin"]);
  });

  // ---- What the head does.

  function drawRoles() {
    const chosenRoles = readRoles();
    const legend = $("operator-roles").firstElementChild;
    $("operator-roles").replaceChildren(legend, ...ROLES.map((role) => {
      const label = document.createElement("label");
      const box = document.createElement("input");
      box.type = "checkbox";
      box.value = role;
      box.checked = chosenRoles.includes(role);
      label.append(box, t(`staff.operators.role.${role}`));
      return label;
    }));
  }

  function readRoles() {
    return [...$("operator-roles").querySelectorAll("input:checked")].map((box) => box.value);
  }

  async function listOperators() {
    if ($("operators").hidden) {
      $("operator-list").replaceChildren();
      return;
    }
    const response = await request("/staff/operators");
    if (response.ok) $("operator-list").replaceChildren(...response.body.filter((row) => !row.blocked).map(operatorItem));
  }

  function operatorItem(row) {
    const item = element("li", "");
    const name = element("span", "name", row.name);
    const roles = row.roles.map((role) => t(`staff.operators.role.${role}`)).join(", ");
    name.append(element("span", "roles", row.has_own_pin ? roles : `${roles} · ${t("staff.operators.pin_given")}`));
    item.append(name, actButton("staff.operators.renew", row, renewPin), actButton("staff.operators.block", row, block));
    return item;
  }

  // The first press asks, the second one does it.
  function actButton(key, row, act) {
    const button = element("button", "quiet", t(key));
    button.setAttribute("aria-label", `${t(key)}: ${row.name}`);
    button.addEventListener("click", () => {
      if (button.dataset.asked) {
        act(row);
        return;
      }
      button.dataset.asked = "yes";
      button.textContent = t("staff.operators.sure");
      button.setAttribute("aria-label", `${t("staff.operators.sure")} ${row.name}`);
    });
    return button;
  }

  async function showGivenPin(response) {
    if (response.ok) showOutcome("staff.operators.given", { name: response.body.name, pin: response.body.pin });
    else showFailure(response);
    await listOperators();
  }

  async function renewPin(row) {
    await showGivenPin(await request("/staff/operators/pin", { operator: row.id }));
  }

  async function block(row) {
    const response = await request("/staff/operators/block", { operator: row.id });
    if (response.ok) showOutcome("staff.operators.blocked", { name: row.name });
    else showFailure(response);
    await listOperators();
  }

  $("operator-add").addEventListener("submit", async (event) => {
    event.preventDefault();
    const roles = readRoles();
    if (roles.length === 0) {
      showOutcome("staff.why.no_role", {}, true);
      return;
    }
    const response = await request("/staff/operators/add", {
      name: $("operator-name").value, roles, group: $("operator-group").value,
    });
    if (response.ok) {
      $("operator-name").value = $("operator-group").value = "";
      for (const box of $("operator-roles").querySelectorAll("input")) box.checked = false;
    }
    await showGivenPin(response);
  });

  return { draw };
}
