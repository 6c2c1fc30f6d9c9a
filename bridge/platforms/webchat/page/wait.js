/** Waiting between tries: longer each time, spread by chance, cut short when there is reason to hope. */

const LONGEST = 15_000;
const HOPE = "replybridge:hope";

/** End the waiting now: the server has just been heard, or the visitor asks for another try. */
export function hope() {
  dispatchEvent(new Event(HOPE));
}

/** Wait after the given number of failures in a row; `atLeast` is in milliseconds (a server's Retry-After). */
export function pause(failures, atLeast = 0) {
  const longest = Math.min(LONGEST, 500 * 2 ** Math.min(failures, 10));
  const wait = Math.max(atLeast, longest * (0.5 + Math.random() / 2));
  return new Promise((resolve) => {
    const finish = () => {
      clearTimeout(timer);
      removeEventListener("online", finish);
      removeEventListener(HOPE, finish);
      document.removeEventListener("visibilitychange", look);
      resolve();
    };
    const look = () => document.visibilityState === "visible" && finish();
    const timer = setTimeout(finish, wait);
    // A server that asked for patience gets it, even from a visitor who has just come back.
    if (atLeast > 0) return;
    addEventListener("online", finish);
    addEventListener(HOPE, finish);
    document.addEventListener("visibilitychange", look);
  });
}

/** An id that nobody can guess: `bytes` random bytes in hexadecimal. */
export function unguessable(bytes) {
  return Array.from(crypto.getRandomValues(new Uint8Array(bytes)), (b) => b.toString(16).padStart(2, "0")).join("");
}
