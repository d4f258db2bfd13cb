// The held corner of the child's page: the staff's way in. A child who touches the screen opens nothing by it.

import { isAgentAlive } from "/page/hall.js";

const HOLD_MS = 2000;

// Opens the staff's page when a pointer, or the Enter key or the space bar, is held on `corner` for two seconds.
export function watchCorner(corner) {
  let timer = 0;
  const release = () => {
    clearTimeout(timer);
    timer = 0;
    corner.classList.remove("held");
  };
  const hold = () => {
    if (timer) return; // a held key repeats itself
    corner.classList.add("held");
    timer = setTimeout(openStaffPage, HOLD_MS);
  };
  const openStaffPage = async () => {
    release();
    if (await isAgentAlive()) location.assign("/staff");
  };
  corner.addEventListener("pointerdown", hold);
  for (const end of ["pointerup", "pointercancel", "pointerleave", "keyup", "blur"]) corner.addEventListener(end, release);
  corner.addEventListener("contextmenu", (event) => event.preventDefault()); // what a long touch asks for
  corner.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" && event.key !== " ") return;
    event.preventDefault();
    hold();
  });
}
