// Watches that the child's page comes to life. A part that could not be loaded (a script, the style, the catalogue) leaves
// `data-state` at "starting": the page then says in all languages that it does not work, and loads itself anew.

const PATIENCE_MS = 6000;
const RETRY_MS = 3000;

globalThis.pageWatch = { failed: false };

function retry() {
  if (globalThis.pageWatch.failed) return;
  globalThis.pageWatch.failed = true;
  document.body?.setAttribute("data-state", "broken");
  setInterval(async () => {
    const alive = await fetch("/page/start.js", { signal: AbortSignal.timeout(RETRY_MS) }).then((response) => response.ok, () => false);
    if (alive) location.reload(); // before that, the browser would show its own page of an error, and stay there
  }, RETRY_MS);
}

const retryUnlessReady = () => { if (!globalThis.pageWatch.ready) retry(); };

addEventListener("error", (event) => { // of an element: its file did not come
  if (event.target instanceof HTMLLinkElement) retry();
  else retryUnlessReady();
}, true);
addEventListener("unhandledrejection", retryUnlessReady); // the catalogue did not come
setTimeout(retryUnlessReady, PATIENCE_MS);
