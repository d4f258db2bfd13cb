// The band over the staff's page in the hall: what the child at the reader is told, with its sound. It always has its
// place, so that nothing moves under a finger when a child comes.

import { element, SIGNS } from "/page/feed.js";
import { titleKeyOf } from "/page/guide.js";
import { playSound } from "/page/sound.js";
import { follow } from "/page/stream.js";
import { translate } from "/page/words.js";

export function startBand(band) {
  const line = band.firstElementChild;
  let volume = "on";
  let soundedId = null;

  function draw(view, run) {
    const { big, invite } = view;
    const isIdle = big.state === "idle";
    const words = translate(big.language, isIdle ? `child.invite.${invite}` : titleKeyOf(big));
    band.dataset.state = big.state;
    line.lang = big.language;
    line.replaceChildren(...(isIdle ? [] : [element("span", "sign", SIGNS[big.state])]), element("strong", "", big.greeting), element("span", "", words));
    const noticeId = `${run}-${big.number}`;
    if (soundedId !== null && soundedId !== noticeId && !isIdle && big.sound) playSound(big.state, volume);
    soundedId = noticeId; // the first state was sounded on the child's page
  }

  follow("/events", {
    onState: draw,
    onHeartbeat: (heartbeat) => { volume = heartbeat.sound; },
    onLink: (up) => { if (!up) line.replaceChildren(); },
  });
}
