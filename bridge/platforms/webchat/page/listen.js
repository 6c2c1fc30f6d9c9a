/**
 * Replies, as Server-Sent Events read with fetch(): unlike EventSource it can send the session in a header.
 *
 * The server sends a comment every 15 s; a stream that is silent for three times as long is dead and is opened anew.
 */
import { pause } from "./wait.js";

const SILENCE = 45_000;
// Browsers allow six connections to a server; a forgotten tab must not hold one for ever.
const HIDDEN = 300_000;

/** Receive until `stop` is called: `received(number, body)` for each reply, `opened(true | false)` as the stream goes. */
export function listen({ session, lastNumber, received, opened }) {
  let stopped = false;
  let request = new AbortController();

  async function stream() {
    request = new AbortController();
    const abort = () => request.abort();
    let watchdog = setTimeout(abort, SILENCE);
    try {
      const headers = { accept: "text/event-stream", "x-chat-session": session, "last-event-id": `${lastNumber()}` };
      const options = { headers, signal: request.signal, cache: "no-store", credentials: "omit" };
      const response = await fetch(new URL("stream", import.meta.url), options);
      if (!response.ok || !response.body) throw new Error(`the stream answered ${response.status}`);
      opened(true);
      const feed = reader((event) => deliver(event, received));
      const chunks = response.body.pipeThrough(new TextDecoderStream()).getReader();
      for (let part = await chunks.read(); !part.done && !stopped; part = await chunks.read()) {
        clearTimeout(watchdog);
        watchdog = setTimeout(abort, SILENCE);
        feed(part.value);
      }
    } finally {
      clearTimeout(watchdog);
    }
  }

  async function run() {
    for (let failures = 0; !stopped; ) {
      const since = Date.now();
      await stream().catch(() => {});
      if (stopped) return;
      opened(false);
      await visible();
      failures = Date.now() - since > SILENCE ? 1 : failures + 1;
      await pause(failures);
    }
  }

  let forgotten = 0;
  const look = () => {
    clearTimeout(forgotten);
    if (document.visibilityState === "hidden") forgotten = setTimeout(() => request.abort(), HIDDEN);
  };
  document.addEventListener("visibilitychange", look);
  run();
  return () => {
    stopped = true;
    clearTimeout(forgotten);
    document.removeEventListener("visibilitychange", look);
    request.abort();
  };
}

function deliver({ id, event, data }, received) {
  if (event !== "message" || !/^\d+$/.test(id)) return;
  try {
    received(Number(id), JSON.parse(data));
  } catch {
    // A damaged event is passed over: the stream goes on with the next one.
  }
}

function visible() {
  if (document.visibilityState === "visible") return Promise.resolve();
  return new Promise((resolve) => document.addEventListener("visibilitychange", resolve, { once: true }));
}

/** A parser to feed with pieces of text; `dispatch` gets each whole event as {id, event, data}. */
export function reader(dispatch) {
  let rest = "";
  let id = "";
  let event = "message";
  let data = [];
  const line = (text) => {
    if (text === "") {
      if (data.length) dispatch({ id, event, data: data.join("\n") });
      event = "message";
      data = [];
      return;
    }
    const colon = text.indexOf(":");
    const field = colon < 0 ? text : text.slice(0, colon);
    const value = colon < 0 ? "" : text.slice(colon + 1).replace(/^ /, "");
    if (field === "id") id = value;
    else if (field === "event") event = value;
    else if (field === "data") data.push(value);
  };
  return (piece) => {
    const lines = (rest + piece).split("\n");
    rest = lines.pop();
    for (const text of lines) line(text.replace(/\r$/, ""));
  };
}
