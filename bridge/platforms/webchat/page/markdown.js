/**
 * The Markdown of replies as DOM nodes: paragraphs, line breaks, headings, quotes, lists, code, bold, italic, links.
 *
 * Nothing is ever parsed as HTML, so a reply can show only what is built here. A link leads to http, https or mailto.
 */

const LINK = /\[((?:\\.|[^\\[\]]){1,1000})\]\(\s{0,9}(?:<([^<>\n]{1,2000})>|((?:\\.|[^\s()\\]|\([^\s()]{0,200}\)){1,2000}))(?:\s{1,9}"[^"]{0,300}")?\s{0,9}\)/y;
const AUTOLINK = /<((?:https?:\/\/|mailto:)[^\s<>]{1,2000})>/y;
const BARE = /https?:\/\/[^\s<>"'`*\\[\]]{1,2000}/y;
const ENTITY = /&(?:#(\d{1,7})|#[xX]([0-9a-fA-F]{1,6})|(amp|lt|gt|quot|apos|nbsp));/y;
const NAMED = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'", nbsp: "\u00a0" };
const PUNCTUATION = /[!-/:-@[-`{-~]/;
const SAFE = /^(?:https?:\/\/|mailto:)/i;

function element(name, ...children) {
  const node = document.createElement(name);
  node.append(...children);
  return node;
}

/** A reply in Markdown -> the nodes to show. */
export function markdown(text) {
  const blocks = [];
  const lines = text.replace(/\r\n?/g, "\n").split("\n");
  for (let i = 0; i < lines.length; ) i = block(lines, i, blocks);
  return blocks;
}

/** A plain reply -> the nodes to show: its text, with web addresses made clickable. */
export function plain(text) {
  const nodes = [];
  let from = 0;
  for (const { 0: found, index } of text.matchAll(new RegExp(BARE.source, "g"))) {
    const address = trimmed(found);
    nodes.push(text.slice(from, index), link(address, [address]) ?? address);
    from = index + address.length;
  }
  return [element("p", ...nodes, text.slice(from))];
}

// Reads the block that starts at line `i`; gives the number of the line after it.
function block(lines, i, blocks) {
  const line = lines[i];
  if (!line.trim()) return i + 1;
  if (/^ {0,3}```/.test(line)) {
    let end = i + 1;
    while (end < lines.length && !/^ {0,3}```\s*$/.test(lines[end])) end += 1;
    blocks.push(element("pre", element("code", lines.slice(i + 1, end).join("\n"))));
    return end + 1;
  }
  const heading = /^ {0,3}#{1,6}\s+(.*)$/.exec(line);
  if (heading) {
    blocks.push(element("p", element("strong", ...inline(heading[1].replace(/\s+#+\s*$/, "")))));
    return i + 1;
  }
  if (/^ {0,3}([-*_])(?: *\1){2,} *$/.test(line)) {
    blocks.push(element("hr"));
    return i + 1;
  }
  if (item(line)) return list(lines, i, blocks);
  const quote = /^ {0,3}> ?/;
  let end = i;
  if (quote.test(line)) {
    while (end < lines.length && quote.test(lines[end])) end += 1;
    const quoted = lines.slice(i, end).map((text) => text.replace(quote, ""));
    blocks.push(element("blockquote", element("p", ...inline(quoted.join("\n")))));
    return end;
  }
  do end += 1;
  while (end < lines.length && lines[end].trim() && !/^ {0,3}(?:```|#{1,6}\s|>)/.test(lines[end]) && !item(lines[end]));
  blocks.push(element("p", ...inline(lines.slice(i, end).map((text) => text.trimStart()).join("\n"))));
  return end;
}

function item(line) {
  const found = /^ {0,9}(?:([-*+])|(\d{1,9})[.)])\s+(\S.*)$/.exec(line);
  return found && { ordered: found[2] !== undefined, start: Number(found[2] ?? 1), text: found[3] };
}

function list(lines, i, blocks) {
  const first = item(lines[i]);
  const node = element(first.ordered ? "ol" : "ul");
  if (first.ordered && first.start !== 1) node.start = first.start;
  let end = i;
  while (end < lines.length) {
    const found = item(lines[end]);
    if (!found || found.ordered !== first.ordered) break;
    const text = [found.text];
    for (end += 1; end < lines.length && /^\s+\S/.test(lines[end]) && !item(lines[end]); end += 1) text.push(lines[end].trim());
    node.append(element("li", ...inline(text.join("\n"))));
    // An empty line between two items does not end the list.
    if (end + 1 < lines.length && !lines[end].trim() && item(lines[end + 1])) end += 1;
  }
  blocks.push(node);
  return end;
}

function match(pattern, text, at) {
  pattern.lastIndex = at;
  return pattern.exec(text);
}

/** Text within a block -> nodes. `links` is off within a link. */
function inline(text, links = true) {
  const out = [];
  const open = new Map();
  let said = "";
  const say = () => {
    if (said) out.push(said);
    said = "";
  };
  for (let i = 0; i < text.length; ) {
    const char = text[i];
    let found = null;
    if (char === "\\" && text[i + 1] === "\n") {
      say();
      out.push(element("br"));
      i += 2;
    } else if (char === "\\" && PUNCTUATION.test(text[i + 1] ?? "")) {
      said += text[i + 1];
      i += 2;
    } else if (char === "\n") {
      say();
      out.push(element("br"));
      i += 1;
    } else if (char === "&" && (found = match(ENTITY, text, i))) {
      said += entity(found);
      i += found[0].length;
    } else if (char === "`") {
      const run = /`+/y;
      const ticks = match(run, text, i)[0];
      const end = closing(text, ticks, i + ticks.length);
      say();
      if (end < 0) said = ticks;
      else out.push(element("code", text.slice(i + ticks.length, end).replace(/\n/g, " ").replace(/^ (.*\S.*) $/, "$1")));
      i = end < 0 ? i + ticks.length : end + ticks.length;
    } else if (char === "[" && links && (found = match(LINK, text, i))) {
      say();
      const label = inline(found[1], false);
      const target = unescaped(found[2] ?? found[3]);
      const node = link(target, label);
      out.push(...(node ? [node] : [...label, ` (${target})`]));
      i += found[0].length;
    } else if (char === "<" && links && (found = match(AUTOLINK, text, i))) {
      say();
      out.push(link(found[1], [found[1].replace(/^mailto:/i, "")]) ?? found[0]);
      i += found[0].length;
    } else if (char === "h" && links && !/\w/.test(text[i - 1] ?? "") && (found = match(BARE, text, i))) {
      say();
      const address = trimmed(found[0]);
      out.push(link(address, [address]) ?? address);
      i += address.length;
    } else if (char === "*" || char === "_") {
      const double = char + char;
      // In `***both***` the single mark was opened last, so it closes first.
      const inner = open.has(double) && open.get(char) > open.get(double);
      const mark = text[i + 1] === char && !inner ? double : char;
      say();
      if (!emphasis(text, i, mark, out, open)) said = mark;
      i += mark.length;
    } else {
      said += char;
      i += 1;
    }
  }
  say();
  for (const at of open.values()) out[at] = out[at].mark;
  return out;
}

// Opens or closes `mark` at `i`. An opener stays in `out` as {mark} until its closer wraps what stands between.
function emphasis(text, i, mark, out, open) {
  const before = text[i - 1] ?? " ";
  const after = text[i + mark.length] ?? " ";
  const word = /[\p{L}\p{N}]/u;
  const within = mark[0] === "_" && word.test(before) && word.test(after);
  if (open.has(mark) && !/\s/.test(before) && !within && open.get(mark) < out.length - 1) {
    const at = open.get(mark);
    const inside = out.splice(at).slice(1);
    open.delete(mark);
    for (const [other, place] of open) {
      if (place < at) continue;
      inside[place - at - 1] = other;
      open.delete(other);
    }
    out.push(element(mark.length === 2 ? "strong" : "em", ...inside));
    return true;
  }
  if (open.has(mark) || /\s/.test(after) || within) return false;
  open.set(mark, out.length);
  out.push({ mark });
  return true;
}

function closing(text, ticks, from) {
  for (let at = text.indexOf(ticks, from); at >= 0; at = text.indexOf(ticks, at)) {
    let end = at;
    while (text[end] === "`") end += 1;
    if (end - at === ticks.length) return at;
    at = end;
  }
  return -1;
}

function entity([, decimal, hex, name]) {
  if (name) return NAMED[name];
  const code = decimal ? Number(decimal) : Number.parseInt(hex, 16);
  return code > 0 && code <= 0x10ffff && (code < 0xd800 || code > 0xdfff) ? String.fromCodePoint(code) : "\ufffd";
}

function unescaped(text) {
  const all = new RegExp(ENTITY.source, "g");
  return text.replace(/\\([!-/:-@[-`{-~])/g, "$1").replace(all, (...found) => entity(found));
}

// A full stop or a bracket at the end of a bare address belongs to the sentence around it.
function trimmed(address) {
  const bare = address.replace(/[.,;:!?]+$/, "");
  return bare.endsWith(")") && !bare.includes("(") ? trimmed(bare.slice(0, -1)) : bare;
}

/** A link that leads out; null for an address that is not http, https or mailto. */
export function link(target, label) {
  if (!SAFE.test(target) || !URL.canParse(target)) return null;
  const node = element("a", ...label);
  node.href = target;
  node.rel = "noopener noreferrer nofollow";
  node.target = "_blank";
  return node;
}
