// Which drawing and which title a notice has. Each advice how to hold the hand has its own.

const ADVICE = new Set(["closer", "farther", "flat", "open", "still", "one_hand", "other_hand", "away"]);
const DRAWINGS = { show_palm: "palm_too", use_card: "card_instead" };

export function drawingOf(notice) {
  if (ADVICE.has(notice.advice)) return notice.advice;
  return notice.advice ? notice.icon : DRAWINGS[notice.state] ?? notice.icon;
}

// True where the drawing is what the child should follow: it stands large.
export const isGuidance = (notice) => ADVICE.has(notice.advice) || notice.state in DRAWINGS;

export function titleKeyOf(notice) {
  return ADVICE.has(notice.advice) ? `child.guide.${notice.advice}` : `child.${notice.state}.title`;
}
