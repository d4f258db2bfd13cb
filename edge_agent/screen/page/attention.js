// What a row that asks for a person says about the entry by hand that follows it.

const FRESH_S = 180; // an older row is about another child
const NEW_CARD = new Set(["blocked", "card_replaced", "unknown_card", "card_unread"]);
const LIKELY = {
  blocked: "lost_card", card_replaced: "lost_card", phone_refused: "forgot_card", partial_number: "forgot_card",
  unknown_card: "new_pupil", unknown_code: "new_pupil", unknown_number: "new_pupil",
  ambiguous: "palm_unread", mismatch: "palm_unread", no_consent: "palm_unread",
  card_unread: "reader_down", reader_misset: "reader_down",
};

// Returns the stock reason that fits what a row says, or "".
export function reasonOf(row) {
  const said = row.staff.reason;
  return LIKELY[said] ?? (said.startsWith("palm_") ? "palm_unread" : "");
}

// Returns the stock reason of the newest fresh row that asks for a person, or "".
export function likelyReason(view) {
  const row = view?.notices.find((notice) => asksForPerson(notice) && notice.age_s < FRESH_S);
  return row ? reasonOf(row) : "";
}

// Returns true where a new card may help: the card is lost, blocked or of nobody, or it cannot be read.
export const wantsCard = (notice) => NEW_CARD.has(notice.staff.reason);

export const asksForPerson = (notice) => ["ask_staff", "use_card", "not_recorded"].includes(notice.state);
