// The stream from the agent: the newest state, heartbeats, and a sign when the line is lost.

const HEARTBEAT_TIMEOUT_MS = 13000; // the agent sends a heartbeat every five seconds
const GRACE_MS = 2000; // nobody needs to know of a stream that comes back at once
const REOPEN_MS = 3000;

// Calls `onState(view, run)` for each state, `onHeartbeat(heartbeat)` for each heartbeat, and `onLink(up)` when the line
// opens or is lost. `run` names one run of the agent.
export function follow(address, { onState, onHeartbeat = () => {}, onLink }) {
  let source = null;
  let up = false;
  let run = "";
  let version = "";
  let lostTimer = 0;
  let heartbeatTimer = 0;
  let reopenTimer = 0;

  function noteSign() {
    clearTimeout(lostTimer);
    lostTimer = 0;
    clearTimeout(heartbeatTimer);
    heartbeatTimer = setTimeout(() => { loseLink(); open(); }, HEARTBEAT_TIMEOUT_MS);
    if (!up) {
      up = true;
      onLink(true);
    }
  }

  function loseLink() {
    up = false;
    onLink(false);
  }

  function open() {
    clearTimeout(reopenTimer);
    source?.close();
    source = new EventSource(address);
    source.addEventListener("beat", (event) => {
      const heartbeat = JSON.parse(event.data);
      if (version && heartbeat.version !== version) {
        location.reload(); // the agent was updated under this page
        return;
      }
      version = heartbeat.version;
      run = heartbeat.run;
      noteSign();
      onHeartbeat(heartbeat);
    });
    source.addEventListener("state", (event) => {
      noteSign();
      onState(JSON.parse(event.data), run);
    });
    source.addEventListener("error", () => {
      lostTimer ||= setTimeout(loseLink, GRACE_MS);
      // A browser never tries again after a response that is no stream (503 while too many screens are open).
      if (source.readyState === EventSource.CLOSED) reopenTimer = setTimeout(open, REOPEN_MS);
    });
  }

  lostTimer = setTimeout(loseLink, GRACE_MS);
  open();
  return { reopen: open };
}
