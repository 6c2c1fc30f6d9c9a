"""A visitor of the web chat, in a real browser, and the rules that answer them."""

from playwright.sync_api import BrowserContext, Page, expect

from tests.end_to_end.server import Server

RULES = """
rules:
  - name: show
    on: message
    when: {text: show me}
    do:
      - reply: {template: show.md.j2}
    stop: true
  - name: choose
    on: message
    when: {text: which plan}
    do:
      - reply:
          text: "Question {{ conversation.messages }}: which plan?"
          attachments: [{url: "https://shop.example/offer.pdf", name: The offer.pdf}]
          quick_replies: ["Basic", "Більший план"]
    stop: true
  - name: write-both-ways
    on: message
    when: {text: both ways}
    do:
      - reply:
          template: both.md.j2
          quick_replies:
            - A long answer that has no room on one line of a small phone, nor on two, nor on three, and goes on and on
    stop: true
  - name: ask-at-the-end
    on: ended
    when: {memory.ask: true}
    do:
      - reply: {text: "How did we do, from 1 to 5?"}
  - name: remember-to-ask
    on: message
    when: {text: ask me}
    do:
      - remember: {ask: true}
  - name: echo
    on: message
    do:
      - reply: {template: echo.md.j2}
"""
TEMPLATES = {
    "echo.md.j2": "**You said:** {{ text }}\n",
    "both.md.j2": "مرحبا بك\n\n- الأول\n\n> اقتباس\n\nThis is English.\n",
    "show.md.j2": "See [our prices](https://shop.example/pricing), `code`:\n\n- **one** plan\n- *two*\n\n> hint\n",
}
PATIENCE = 60_000
"""Milliseconds for anything to appear; the page itself waits up to 15 s between two tries."""
expect.set_options(timeout=PATIENCE)

FILES = {"rules/echo.yaml": RULES, **{f"templates/{name}": text for name, text in TEMPLATES.items()}}

_RATIO = """
  const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  const light = (colours) => {
    canvas.clearRect(0, 0, 1, 1);
    for (const colour of colours) { canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1); }
    const rgb = [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3).map((v) => v / 255);
    const [r, g, b] = rgb.map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ratio = (node, colour) => {
    const grounds = [];
    for (let up = node; up; up = up.parentElement) grounds.unshift(getComputedStyle(up).backgroundColor);
    const [a, b] = [light(grounds), light([...grounds, colour])].sort((x, y) => y - x);
    return (a + 0.05) / (b + 0.05);
  };
"""


def visit(context: BrowserContext, server: Server) -> Page:
    page = context.new_page()
    page.goto(server.url)
    expect(page.get_by_role("status")).to_have_text("Online")
    return page


def say(page: Page, text: str) -> None:
    page.get_by_label("Message", exact=True).fill(text)
    page.keyboard.press("Enter")


def texts(page: Page) -> list[str]:
    """What the log says, each entry as one text."""
    return [text.replace("\n", " ").strip() for text in page.locator(".entry .text").all_inner_texts()]


def wait_for(page: Page, own: int, replies: int) -> None:
    expect(page.locator('.own[data-state="sent"]')).to_have_count(own)
    expect(page.locator(".reply")).to_have_count(replies)


def measure(body: str) -> str:
    """JavaScript in which `ratio(node, colour)` is the contrast of a colour to an element's ground, as WCAG counts."""
    return f"() => {{{_RATIO}{body}}}"
