/** What a reply has beside its text: files to open, and quick replies to press. */
import { link } from "./markdown.js";

const MOST = 20;

/** The files as a list of links; null where there are none. */
export function files(given) {
  const shown = listed(given).map(({ name, url }) => link(String(url), [String(name || url)])).filter(Boolean);
  if (!shown.length) return null;
  const list = document.createElement("ul");
  list.className = "files";
  list.ariaLabel = "Files";
  for (const node of shown) {
    node.dir = "auto";
    const item = document.createElement("li");
    item.append(node);
    list.append(item);
  }
  return list;
}

/** The quick replies as buttons, of which one is pressed; null where there are none. */
export function choices(given, choose) {
  const texts = listed(given).map(String).filter((text) => text.trim());
  if (!texts.length) return null;
  const group = document.createElement("div");
  group.className = "choices";
  group.role = "group";
  group.ariaLabel = "Quick replies";
  for (const text of texts) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "choice";
    button.dir = "auto";
    button.textContent = text;
    button.addEventListener("click", () => choose(text));
    group.append(button);
  }
  return group;
}

function listed(given) {
  return Array.isArray(given) ? given.filter(Boolean).slice(0, MOST) : [];
}
