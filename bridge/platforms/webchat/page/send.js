/** What the page posts. Messages wait in the transcript until the server acknowledges them, strictly in order. */
import * as transcript from "./transcript.js";
import { pause, unguessable } from "./wait.js";

const PATIENCE = 15_000;
// The server read the message and will never take it; every other answer is worth another try.
const NEVER = new Set([400, 413, 422]);

/** One request; resolves to {ok, never, why, answer, retryAfter}, never rejects. */
async function post(operation, session, body) {
  try {
    const response = await fetch(new URL(operation, import.meta.url), {
      method: "POST",
      headers: { "content-type": "application/json", "x-chat-session": session },
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(PATIENCE),
      credentials: "omit",
    });
    const answer = await response.json().catch(() => ({}));
    const retryAfter = Math.min(Number(response.headers.get("retry-after")) || 0, 300) * 1000;
    return { ok: response.ok, never: NEVER.has(response.status), why: answer.title ?? "", answer, retryAfter };
  } catch {
    return { ok: false, never: false, why: "", answer: {}, retryAfter: 0 };
  }
}

let sending = false;

/** Send everything queued. `changed` is called after each step, `reached` with whether the server answered. */
export async function flush({ changed, reached }) {
  if (sending) return;
  sending = true;
  let failures = 0;
  for (let entry = transcript.queued()[0]; entry; entry = transcript.queued()[0]) {
    const result = await post(entry.operation, entry.session, bodyOf(entry));
    if (result.ok) transcript.settle(entry, "sent");
    else if (result.never) transcript.settle(entry, "refused", result.why);
    failures = result.ok || result.never ? 0 : failures + 1;
    reached(failures === 0);
    changed();
    if (failures) await pause(failures, result.retryAfter);
  }
  sending = false;
}

// Who wrote it is who they were then: in a new conversation the next person at this computer may have another name.
function bodyOf({ id, operation, text, contact }) {
  if (operation === "end") return { id };
  return { id, text, ...language(), ...contact };
}

/** Tell that the page was opened, until it is heard; resolves to what the server says of itself. */
export async function visit(session) {
  const body = { id: unguessable(16), url: visitedUrl(), ...language() };
  for (let failures = 1; ; failures += 1) {
    const result = await post("visited", session, body);
    if (result.ok) return result.answer;
    if (result.never || session !== transcript.session()) return {};
    await pause(failures, result.retryAfter);
  }
}

// The page a visitor came from says more than the chat's own address: `/?from=https://...`, else the referrer.
function visitedUrl() {
  const from = [new URLSearchParams(location.search).get("from"), document.referrer];
  const found = from.find((url) => /^https?:\/\/[^/]/.test(url ?? "") && url.length <= 2048);
  return found ? new URL(found).href.slice(0, 2048) : location.origin + location.pathname;
}

function language() {
  return /^[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8})*$/.test(navigator.language) ? { language: navigator.language } : {};
}

const AGAIN = 8_000;
const QUIET = 4_000;
let startedAt = 0;
let quiet = 0;

/** A key was pressed: "started" at most every 8 s while it goes on, "stopped" after 4 s of quiet. Lost if lost. */
export function typing() {
  clearTimeout(quiet);
  quiet = setTimeout(() => stoppedTyping(true), QUIET);
  if (Date.now() - startedAt < AGAIN) return;
  startedAt = Date.now();
  post("typing", transcript.session(), { id: unguessable(16), state: "started" });
}

/** Typing is over; it is `told` unless the message itself tells it. */
export function stoppedTyping(told) {
  clearTimeout(quiet);
  if (startedAt && told) post("typing", transcript.session(), { id: unguessable(16), state: "stopped" });
  startedAt = 0;
}
