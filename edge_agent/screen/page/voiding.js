// An entry that is taken back, from whichever list it stands in.

import { showFailure, showOutcome } from "/page/desk.js";
import { confirmReason, VOID_REASONS } from "/page/reasons.js";
import { request } from "/page/request.js";

// Asks for the reason and voids the entry; null where nobody confirmed it. `named`: by what the machine named the person, so that
// whoever decides against it sees why.
export async function requestVoid({ epoch, seq, name, group, named = "" }) {
  const reason = await confirmReason("staff.confirm_void", [`${name}  ${group}`, named].filter(Boolean).join(" · "), "taken_back", VOID_REASONS);
  return reason === null ? null : request("/staff/void", { epoch, seq, reason });
}

export function showVoided(response, name) {
  if (response.ok) showOutcome("staff.voided", { name });
  else showFailure(response);
}
