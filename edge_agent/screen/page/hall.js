// The staff's pages on the kiosk's own screen, which stands in the hall: it is the children's again when nobody touches it.
// The agent knows by its client that a page is there, and says so with the session; no address does.

import { request } from "/page/request.js";

const IDLE_MS = 60000;
const RETRY_MS = 3000;
const SIGNS_OF_LIFE = ["pointerdown", "pointermove", "keydown", "input", "wheel"];

// Asked before each change of the page: without the agent the browser would show its own page of an error, and stay there.
export async function isAgentAlive() {
  return fetch("/page/start.js", { signal: AbortSignal.timeout(RETRY_MS) }).then((response) => response.ok, () => false);
}

let leaving = false;

export async function returnToChildren() {
  if (leaving) return;
  leaving = true;
  while (!await isAgentAlive()) await new Promise((resolve) => { setTimeout(resolve, RETRY_MS); });
  await request("/staff/sign-out", {});
  location.replace("/");
}

// `isBusy()` is True while something goes on that nobody must touch the screen for.
export function watchIdle(isBusy = () => false) {
  let timer = 0;
  const restart = () => {
    clearTimeout(timer);
    timer = setTimeout(() => (isBusy() ? restart() : returnToChildren()), IDLE_MS);
  };
  for (const sign of SIGNS_OF_LIFE) addEventListener(sign, restart, { capture: true, passive: true });
  restart();
}
