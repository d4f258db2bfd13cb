// One request to the agent. Resolves to `{ok: true, body}` or `{ok: false, why, wait}`, and never rejects.

const TIMEOUT_MS = 8000;

export async function request(path, body) {
  const options = body === undefined
    ? {}
    : { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
  try {
    const response = await fetch(path, { ...options, signal: AbortSignal.timeout(TIMEOUT_MS) });
    const responseBody = await response.json();
    if (responseBody?.why === "not_paired") location.replace("/pair");
    const wait = Number(response.headers.get("Retry-After") ?? 0);
    return response.ok ? { ok: true, body: responseBody } : { ok: false, why: responseBody.why, wait };
  } catch {
    return { ok: false, why: "unreachable", wait: 0 }; // no response came: nobody knows if the agent did it
  }
}
