/** The log: one bubble for each entry of the transcript, brought up to date in place. */
import { choices, files } from "./beside.js";
import { markdown, plain } from "./markdown.js";

const nodes = new Map();
const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const day = new Intl.DateTimeFormat(undefined, { weekday: "long", day: "numeric", month: "long" });

/**
 * Show `entries` in `log`; `edit` is called with a refused entry that the visitor wants to change, `choose` with the
 * quick reply that was pressed.
 */
export function show(log, entries, { edit, choose }) {
  const kept = new Set(entries.map((entry) => entry.key));
  for (const [key, node] of nodes) {
    if (kept.has(key)) continue;
    node.remove();
    nodes.delete(key);
  }
  entries.forEach((entry, i) => {
    const node = nodes.get(entry.key) ?? bubble(entry);
    nodes.set(entry.key, node);
    if (log.children[i] !== node) log.insertBefore(node, log.children[i] ?? null);
    place(node, entry, entries[i - 1]);
    if (node.dataset.state !== (entry.state ?? "received")) settle(node, entry, edit);
    offer(node, entry, entries[i + 1], choose);
  });
}

function make(name, className, ...children) {
  const node = document.createElement(name);
  node.className = className;
  node.append(...children);
  return node;
}

function bubble(entry) {
  if (entry.operation === "end") {
    const text = make("p", "note", "You ended the chat.");
    return make("div", "entry ending", text, make("p", "meta"));
  }
  const own = entry.operation === "message";
  const author = make("span", "unseen", own ? "You said: " : "Reply: ");
  const text = make("div", "text");
  if (own) text.textContent = entry.text;
  else text.append(...content(entry));
  // The visitor's language and the company's may be written in different directions, and so may two paragraphs.
  for (const block of own ? [text] : text.children) block.dir = "auto";
  const beside = (!own && files(entry.attachments)) || "";
  return make("div", own ? "entry own" : "entry reply", make("div", "bubble", author, text, beside), make("p", "meta"));
}

// Quick replies stand below the last entry only: once something else was said they are no answer to it any more.
function offer(node, entry, after, choose) {
  const offered = node.querySelector(".choices");
  if (after) offered?.remove();
  else if (!offered) node.append(choices(entry.quick_replies, choose) ?? "");
}

function content({ text, format }) {
  return format === "markdown" ? markdown(String(text)) : plain(String(text));
}

// A bubble that follows another by the same author stands closer to it; a new day is announced.
function place(node, entry, before) {
  const date = moment(entry);
  const today = date.toDateString();
  const newDay = (before ? moment(before) : new Date()).toDateString() !== today;
  if (newDay) node.dataset.day = day.format(date);
  else delete node.dataset.day;
  const same = before && !newDay && (before.operation ?? "reply") === (entry.operation ?? "reply");
  node.classList.toggle("follows", Boolean(same));
}

// A reply was made when the server says so, not when this browser read it.
function moment(entry) {
  return new Date(Date.parse(entry.at) || entry.order);
}

function settle(node, entry, edit) {
  node.dataset.state = entry.state ?? "received";
  const meta = node.querySelector(".meta");
  const time = document.createElement("time");
  time.dateTime = moment(entry).toISOString();
  time.textContent = clock.format(moment(entry));
  if (entry.state === "queued") meta.replaceChildren("Sending…");
  else if (entry.state === "refused") meta.replaceChildren(`Not sent: ${entry.why || "refused"} `, again(entry, edit));
  else meta.replaceChildren(time);
}

function again(entry, edit) {
  const button = make("button", "link", "Edit");
  button.type = "button";
  button.addEventListener("click", () => edit(entry));
  return button;
}
