// The line to the agent: newest state, heartbeat, and an honest word when it is gone.

const BEATS_MISSED_MS = 13000; // the agent sends one every five seconds
const GRACE_MS = 2000; // a stream that comes back at once is nobody's concern
const REOPEN_MS = 3000;

// `onState(view, run)` with each state, `onBeat(beat)` with each heartbeat, `onLink(up)` when the line comes or goes.
export function follow(address, { onState, onBeat = () => {}, onLink }) {
  let source = null;
  let up = false;
  let run = "";
  let version = "";
  let lostTimer = 0;
  let beatTimer = 0;
  let reopenTimer = 0;

  function alive() {
    clearTimeout(lostTimer);
    lostTimer = 0;
    clearTimeout(beatTimer);
    beatTimer = setTimeout(() => { lost(); open(); }, BEATS_MISSED_MS);
    if (!up) {
      up = true;
      onLink(true);
    }
  }

  function lost() {
    up = false;
    onLink(false);
  }

  function open() {
    clearTimeout(reopenTimer);
    source?.close();
    source = new EventSource(address);
    source.addEventListener("beat", (event) => {
      const beat = JSON.parse(event.data);
      if (version && beat.version !== version) {
        location.reload(); // the agent was updated under this page
        return;
      }
      version = beat.version;
      run = beat.run;
      alive();
      onBeat(beat);
    });
    source.addEventListener("state", (event) => {
      alive();
      onState(JSON.parse(event.data), run);
    });
    source.addEventListener("error", () => {
      lostTimer ||= setTimeout(lost, GRACE_MS);
      // A browser gives up for good on an answer that is no stream (503 while too many screens are open).
      if (source.readyState === EventSource.CLOSED) reopenTimer = setTimeout(open, REOPEN_MS);
    });
  }

  lostTimer = setTimeout(lost, GRACE_MS);
  open();
  return { reopen: open };
}
