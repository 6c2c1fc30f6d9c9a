/**
 * The conversation as this browser keeps it, shared by all tabs.
 *
 * Every message has a localStorage item of its own, named by its id. So two tabs never overwrite each other's
 * list, writing the same thing twice changes nothing, and what a visitor typed survives a closed tab.
 *
 * Own entries: {session, id, operation: "message" | "end", text, contact, order,
 *               state: "queued" | "sent" | "refused", why}
 * Replies:     {session, number, text, format, attachments, quick_replies, at, order}
 */
import { unguessable } from "./wait.js";

const SESSION = "replybridge/session";
const CONTACT = "replybridge/contact";
const FACE = "replybridge/face";
const ENTRY = "replybridge/entry/";
const KEPT = 500;

const entries = new Map();
const memory = new Map();
let watcher = () => {};

// Without storage, or with none left, the page goes on with what it holds in memory.
function write(key, value) {
  try {
    localStorage.setItem(key, value);
    memory.delete(key);
  } catch {
    memory.set(key, value);
  }
}

function read(key) {
  try {
    return memory.get(key) ?? localStorage.getItem(key);
  } catch {
    return memory.get(key) ?? null;
  }
}

function erase(key) {
  entries.delete(key);
  memory.delete(key);
  try {
    localStorage.removeItem(key);
  } catch {
    // Nothing was stored.
  }
}

function parsed(text) {
  try {
    const value = JSON.parse(text);
    return value && typeof value === "object" ? value : null;
  } catch {
    return null;
  }
}

function put(key, entry) {
  entries.set(key, { ...entry, key });
  write(key, JSON.stringify(entry));
}

/** Read again what other tabs wrote; a page that the browser had put to sleep has heard nothing of it. */
export function refresh() {
  const stored = {};
  try {
    Object.assign(stored, localStorage);
  } catch {
    return;
  }
  entries.clear();
  for (const [key, text] of [...Object.entries(stored), ...memory]) take(key, text);
  watcher();
}

function take(key, text) {
  if (!key.startsWith(ENTRY)) return;
  const entry = text === null ? null : parsed(text);
  if (entry) entries.set(key, { ...entry, key });
  else entries.delete(key);
}

/** Call `changed` whenever another tab changed something. */
export function watch(changed) {
  watcher = changed;
  addEventListener("storage", (event) => {
    if (event.key === null) entries.clear();
    else take(event.key, event.newValue);
    changed();
  });
}

export function session() {
  const known = read(SESSION);
  if (/^[0-9a-f]{64}$/.test(known ?? "")) return known;
  const fresh = unguessable(32);
  write(SESSION, fresh);
  return fresh;
}

/** Begin a new conversation. What is still to be sent in the old one stays queued; the rest of it is forgotten. */
export function begin() {
  write(SESSION, unguessable(32));
  erase(CONTACT);
  for (const entry of [...entries.values()]) if (entry.state !== "queued") erase(entry.key);
}

export function contact() {
  return parsed(read(CONTACT)) ?? {};
}

export function keepContact(details) {
  write(CONTACT, JSON.stringify(details));
}

/** What the server last said of itself: a conversation that has ended asks it nothing. */
export function face() {
  return parsed(read(FACE)) ?? {};
}

export function keepFace(learned) {
  write(FACE, JSON.stringify(learned));
}

/** The current conversation in the order in which it was seen here. */
export function all() {
  const now = session();
  return inOrder([...entries.values()].filter((entry) => entry.session === now));
}

/** What the server has not yet acknowledged, of every conversation. */
export function queued() {
  return inOrder([...entries.values()].filter((entry) => entry.state === "queued"));
}

export function hasEnded() {
  return all().some((entry) => entry.operation === "end");
}

/** Whether something was said to the visitor after they had ended the conversation: "How did we do?" */
export function saidSinceTheEnd() {
  const entries = all();
  const end = entries.findIndex((entry) => entry.operation === "end");
  return end >= 0 && entries.slice(end).some((entry) => !entry.operation);
}

/** The number of the last reply received: the stream goes on after it. */
export function lastNumber() {
  return all().reduce((last, entry) => Math.max(last, entry.number ?? 0), 0);
}

export function addOwn(operation, text = "") {
  const id = unguessable(16);
  put(`${ENTRY}own/${id}`, { session: session(), id, operation, text, contact: contact(), order: next(), state: "queued" });
  prune(KEPT);
}

/** Keep a reply unless it is already here; says whether it was new. `at` tells numbers of a reset server apart. */
export function addReply(owner, number, { text, format, attachments, quick_replies, at }) {
  const key = `${ENTRY}reply/${owner.slice(0, 16)}/${number}/${at}`;
  if (entries.has(key) || read(key) !== null) return false;
  put(key, { session: owner, number, text, format, attachments, quick_replies, at, order: next() });
  prune(KEPT);
  return true;
}

/** Note what became of an own entry: "sent" or "refused" (with the reason). */
export function settle(entry, state, why = "") {
  if (entry.session !== session()) erase(entry.key);
  else put(entry.key, { ...entry, state, why });
}

export function remove(entry) {
  erase(entry.key);
}

function next() {
  let last = 0;
  for (const entry of entries.values()) last = Math.max(last, entry.order);
  return Math.max(Date.now(), last + 1);
}

function inOrder(list) {
  return list.sort((a, b) => a.order - b.order || (a.key < b.key ? -1 : 1));
}

function prune(kept) {
  if (entries.size <= kept) return;
  const oldest = inOrder([...entries.values()]).filter((entry) => entry.state !== "queued");
  for (const entry of oldest.slice(0, entries.size - kept)) erase(entry.key);
}
