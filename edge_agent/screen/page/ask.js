// One request to the agent and its answer: `{ok: true, ...}` or `{ok: false, why}`.

const TIMEOUT_MS = 8000;

export async function ask(path, body) {
  const request = body === undefined
    ? {}
    : { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
  try {
    const response = await fetch(path, { ...request, signal: AbortSignal.timeout(TIMEOUT_MS) });
    const answer = await response.json();
    const wait = Number(response.headers.get("Retry-After") ?? 0);
    return response.ok ? { ok: true, answer } : { ok: false, why: answer.why, wait };
  } catch {
    return { ok: false, why: "unreachable", wait: 0 }; // nothing came back: it may or may not have been done
  }
}
