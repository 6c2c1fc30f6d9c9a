/** The page: what the visitor does goes to the transcript and from there to the server; what comes back is shown. */
import { show } from "./bubbles.js";
import { listen } from "./listen.js";
import { flush, stoppedTyping, typing, visit } from "./send.js";
import * as transcript from "./transcript.js";
import { hope } from "./wait.js";

const at = (id) => document.getElementById(id);
const [log, text, compose, goodbye] = ["log", "text", "compose", "goodbye"].map(at);
const [status, problem, newer, details, about, end] = ["status", "problem", "newer", "details", "about", "end"].map(at);

let session = "";
let face = { title: "Chat", max_text: 4000, online: null, ...transcript.face() };
let stop = () => {};
// Whether the stream of replies is open (null: not yet tried), and whether the last message got an answer.
let connected = null;
let heard = true;
let unread = 0;
// Whether the visitor is at the end of the log: then it stays there, whatever is added or changes its size.
let following = true;

function showAll() {
  if (session && session !== transcript.session()) return open();
  const entries = transcript.all();
  const last = log.lastElementChild;
  show(log, entries, { edit, choose });
  at("empty").hidden = entries.length > 0;
  showEnded(transcript.hasEnded());
  if (log.lastElementChild === last) return undefined;
  if (following || log.lastElementChild?.classList.contains("own")) toEnd();
  else newer.hidden = false;
  return undefined;
}

function showEnded(ended) {
  end.hidden = about.hidden = ended;
  goodbye.hidden = !ended;
  // Who is asked something at the end can answer it.
  compose.hidden = ended && !transcript.saidSinceTheEnd();
  if (ended) showDetails(false);
}

function showStatus() {
  const words = connected === null ? ["connecting", "Connecting…"]
    : !connected || !heard ? ["offline", "No connection. Trying again…"]
    : face.online === false ? ["away", "Away at the moment. Leave a message."]
    : ["online", "Online"];
  if (status.textContent === words[1]) return;
  [status.dataset.state, status.textContent] = words;
}

function showTitle() {
  at("title").textContent = face.title;
  document.title = unread ? `(${unread}) ${face.title}` : face.title;
}

function toEnd() {
  following = true;
  log.scrollTop = log.scrollHeight;
  newer.hidden = true;
}

// A message that another tab has sent in the meantime waits no more, whatever this one met with.
function reached(yes) {
  heard = yes || !transcript.queued().length;
  if (yes) hope();
  showStatus();
}

function sendAll() {
  flush({ changed: showAll, reached });
}

/** Show the current conversation, tell of the visit and listen for replies. */
function open() {
  stop();
  session = transcript.session();
  log.ariaBusy = "true";
  showAll();
  toEnd();
  requestAnimationFrame(() => (log.ariaBusy = "false"));
  const current = session;
  if (!transcript.hasEnded()) visit(current).then((answer) => current === session && meet(answer));
  stop = listen({
    session,
    lastNumber: transcript.lastNumber,
    received: (number, body) => receive(current, number, body),
    opened: (yes) => {
      connected = yes;
      if (yes) hope();
      showStatus();
    },
  });
}

function meet({ title, max_text: longest, online }) {
  face = { title: title ?? face.title, max_text: longest ?? face.max_text, online: online ?? null };
  transcript.keepFace({ title: face.title, max_text: face.max_text });
  showTitle();
  showStatus();
}

function receive(owner, number, body) {
  if (!transcript.addReply(owner, number, body)) return;
  if (document.visibilityState === "hidden") unread += 1;
  showTitle();
  showAll();
}

// A null character or half a character (a cut emoji) cannot be stored, and nobody typed one on purpose.
function storable(typed) {
  const bare = typed.replaceAll("\0", "").trim();
  return bare.toWellFormed?.() ?? bare;
}

function say(event) {
  event.preventDefault();
  const said = storable(text.value);
  const length = [...said].length;
  showProblem(length > face.max_text ? `${length} characters: at most ${face.max_text} fit in one message.` : "");
  text.focus();
  if (!said || problem.textContent) return;
  stoppedTyping(false);
  text.value = "";
  fit();
  send(said);
}

function showProblem(words) {
  problem.textContent = words;
  text.ariaInvalid = String(words !== "");
}

function send(said) {
  transcript.addOwn("message", said);
  showAll();
  toEnd();
  sendAll();
  hope();
}

// The button that had the focus is gone. A finger that pressed it does not want the keyboard to come up.
function choose(said) {
  send(said);
  (matchMedia("(pointer: fine)").matches ? text : log).focus();
}

function edit(entry) {
  transcript.remove(entry);
  text.value = [text.value, entry.text].filter(Boolean).join("\n");
  fit();
  showAll();
  text.focus();
}

function fit() {
  text.style.height = "auto";
  text.style.height = `${text.scrollHeight + text.offsetHeight - text.clientHeight}px`;
}

function endChat() {
  stoppedTyping(false);
  transcript.addOwn("end");
  showAll();
  sendAll();
  // Not the button in it: a second Enter would take the conversation away.
  goodbye.focus();
}

function startAgain() {
  transcript.begin();
  open();
  text.focus();
}

function showDetails(yes) {
  details.hidden = !yes;
  about.ariaExpanded = String(yes);
}

function saveDetails(event) {
  event.preventDefault();
  // A name is one line; one that was pasted from a table has tabs in it.
  const [name, email] = [storable(at("name").value.replace(/\p{Cc}+/gu, " ")), at("email").value.trim()];
  const wrong = email !== "" && (!at("email").checkValidity() || !/^[^@\s]+@[^@\s]+$/.test(email));
  showWrong(wrong);
  if (wrong) return at("email").focus();
  transcript.keepContact({ ...(name && { name }), ...(email && { email }) });
  showDetails(false);
  return about.focus();
}

function showWrong(yes) {
  at("email-problem").textContent = yes ? "This does not look like an e-mail address." : "";
  at("email").ariaInvalid = String(yes);
}

function fillDetails() {
  const { name = "", email = "" } = transcript.contact();
  [at("name").value, at("email").value] = [name, email];
  showWrong(false);
}

compose.addEventListener("submit", say);
text.addEventListener("keydown", (event) => {
  // While an input method composes a character, Enter chooses it; in Safari only its old code 229 tells that one.
  if (event.key !== "Enter" || event.shiftKey || event.isComposing || event.keyCode === 229) return;
  event.preventDefault();
  if (!event.repeat) compose.requestSubmit();
});
text.addEventListener("input", () => {
  fit();
  showProblem("");
  if (text.value.trim()) typing();
  else stoppedTyping(true);
});
log.addEventListener("scroll", () => {
  following = log.scrollHeight - log.scrollTop - log.clientHeight < 80;
  if (following) newer.hidden = true;
});
newer.addEventListener("click", () => {
  toEnd();
  log.focus();
});
about.addEventListener("click", () => {
  fillDetails();
  showDetails(details.hidden);
  if (!details.hidden) at("name").focus();
});
details.addEventListener("submit", saveDetails);
details.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  showDetails(false);
  about.focus();
});
end.addEventListener("click", endChat);
at("again").addEventListener("click", startAgain);
// Enter that is held down is pressed once, whatever has the focus by then; with Shift it goes on making lines.
document.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && event.repeat && !event.shiftKey) event.preventDefault();
});
document.addEventListener("visibilitychange", () => {
  if (document.visibilityState === "hidden") return;
  unread = 0;
  showTitle();
  transcript.refresh();
});
new ResizeObserver(() => following && toEnd()).observe(log);
transcript.watch(() => {
  showAll();
  // The tab that wrote a message sends it; should it have been closed, this one does.
  if (transcript.queued().length) setTimeout(sendAll, 8_000 + Math.random() * 4_000);
  else reached(true);
});
transcript.refresh();
showTitle();
open();
sendAll();
if (matchMedia("(pointer: fine)").matches) text.focus();
