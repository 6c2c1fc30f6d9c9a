"""The web chat as visitors use it, in a real browser: blocked storage, two tabs, the keyboard, small screens."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Literal

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Request, Route, expect

from tests.end_to_end.server import Server
from tests.end_to_end.visitor import FILES, PATIENCE, measure, say, texts, visit, wait_for

SETTINGS = """
[accounts.webchat]
platform = "webchat"
title = "Acme Support"
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, browser: Browser) -> Iterator[Server]:
    running = Server(tmp_path_factory.mktemp("chat"), {**FILES, "bridge.toml": SETTINGS})
    running.start()
    yield running
    running.kill()


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """A small phone."""
    fresh = browser.new_context(viewport={"width": 360, "height": 740}, reduced_motion="reduce")
    fresh.set_default_timeout(PATIENCE)
    yield fresh
    fresh.close()


def save_details(page: Page, name: str, email: str) -> None:
    page.get_by_role("button", name="Details").click()
    page.get_by_label("Name (optional)").fill(name)
    page.get_by_label("E-mail (optional)").fill(email)
    page.keyboard.press("Enter")


def sent(text: str) -> Callable[[Request], bool]:
    """Whether a request brings this message."""
    return lambda request: request.url.endswith("/chat/message") and body(request)["text"] == text


def body(request: Request) -> dict[str, object]:
    posted: dict[str, object] = json.loads(request.post_data or "")
    return posted


BLOCK = """Object.defineProperty(window, "localStorage", {
  get() { throw new DOMException("storage is blocked", "SecurityError"); },
});"""
FILL = """() => {
  for (let piece = "x".repeat(1 << 20); piece; piece = piece.slice(0, piece.length >> 1)) {
    try {
      for (let i = 0; ; i += 1) localStorage.setItem(`${piece.length}/${i}`, piece);
    } catch { /* This size no longer fits. */ }
  }
}"""


def test_a_browser_that_stores_nothing_still_shows_the_conversation(server: Server, context: BrowserContext) -> None:
    context.add_init_script(BLOCK)
    page = visit(context, server)
    for number, text in enumerate(("one", "two"), 1):
        say(page, text)
        wait_for(page, own=number, replies=number)
    assert texts(page) == ["one", "You said: one", "two", "You said: two"]
    page.get_by_role("button", name="End chat").click()
    expect(page.get_by_text("You ended the chat.")).to_be_visible()
    page.get_by_role("button", name="Start a new chat").click()
    expect(page.locator(".entry")).to_have_count(0)


def test_a_full_storage_loses_nothing_that_is_on_the_page(server: Server, context: BrowserContext) -> None:
    page = visit(context, server)
    say(page, "one")
    wait_for(page, own=1, replies=1)
    page.evaluate(FILL)
    for number, text in enumerate(("two", "three"), 2):
        say(page, text)
        wait_for(page, own=number, replies=number)
    assert texts(page) == [said for n in ("one", "two", "three") for said in (n, f"You said: {n}")]


def test_what_only_screen_readers_see_scrolls_with_the_log(server: Server, context: BrowserContext) -> None:
    page = visit(context, server)
    for number in range(1, 9):
        say(page, f"message {number}")
    wait_for(page, own=8, replies=8)
    page.get_by_role("log").evaluate("log => { log.scrollTop = 0; }")
    page.locator(".entry .unseen").last.evaluate("label => label.scrollIntoView()")
    assert page.evaluate("[document.documentElement.scrollTop, document.body.scrollTop]") == [0, 0]
    expect(page.get_by_role("button", name="End chat")).to_be_in_viewport(ratio=1)
    assert page.get_by_role("log").evaluate("log => log.scrollTop") > 0


def test_a_message_that_another_tab_sent_waits_in_none(server: Server, context: BrowserContext) -> None:
    first, second = visit(context, server), visit(context, server)
    second.route("**/chat/message", lambda route: route.abort())
    say(second, "from the second")
    expect(second.get_by_role("status")).to_contain_text("No connection")
    say(first, "from the first")
    for page in (first, second):
        wait_for(page, own=2, replies=2)
    expect(second.get_by_role("status")).to_have_text("Online")


def test_a_try_that_fails_after_another_tab_has_sent_the_message_is_no_matter(
    server: Server, context: BrowserContext
) -> None:
    first, second = visit(context, server), visit(context, server)
    held: list[Route] = []
    second.route("**/chat/message", lambda route: held.append(route))
    with second.expect_request(sent("from the second")):
        say(second, "from the second")
    say(first, "from the first")
    wait_for(second, own=2, replies=2)
    with second.expect_event("requestfailed"):
        held[0].abort()
    # Once this is answered, the page has heard of the failure before.
    second.evaluate("fetch('chat/chat.js').then((response) => response.text())")
    expect(second.get_by_role("status")).to_have_text("Online")


def test_a_key_that_is_held_is_pressed_once(server: Server, context: BrowserContext) -> None:
    page = visit(context, server)
    say(page, "one")
    wait_for(page, own=1, replies=1)
    page.get_by_role("button", name="Details").focus()
    page.keyboard.down("Enter")
    expect(page.get_by_label("Name (optional)")).to_be_focused()
    page.keyboard.down("Enter")
    expect(page.get_by_label("Name (optional)")).to_be_focused()
    page.keyboard.up("Enter")
    page.get_by_role("button", name="End chat").focus()
    for _ in range(3):
        page.keyboard.down("Enter")
    page.keyboard.up("Enter")
    expect(page.get_by_text("You ended the chat.")).to_be_visible()
    assert texts(page) == ["one", "You said: one"]


def test_a_new_chat_knows_nobody(server: Server, context: BrowserContext) -> None:
    page = visit(context, server)
    save_details(page, name="Olena", email="olena@example.com")
    page.route("**/chat/message", lambda route: route.abort())
    say(page, "not sent yet")
    expect(page.get_by_role("status")).to_contain_text("No connection")
    page.get_by_role("button", name="End chat").click()
    page.get_by_role("button", name="Start a new chat").click()
    page.get_by_role("button", name="Details").click()
    expect(page.get_by_label("Name (optional)")).to_have_value("")
    expect(page.get_by_label("E-mail (optional)")).to_have_value("")
    with page.expect_request(sent("not sent yet")) as old:
        page.unroute("**/chat/message")
    assert (body(old.value)["name"], body(old.value)["email"]) == ("Olena", "olena@example.com")
    with page.expect_request(sent("hello")) as new:
        say(page, "hello")
    assert {"name", "email"}.isdisjoint(body(new.value))
    wait_for(page, own=1, replies=1)


def test_a_chat_that_has_ended_keeps_its_title(server: Server, context: BrowserContext) -> None:
    page = visit(context, server)
    page.get_by_role("button", name="End chat").click()
    expect(page.get_by_text("You ended the chat.")).to_be_visible()
    page.reload()
    expect(page.get_by_role("status")).to_have_text("Online")
    expect(page.get_by_role("heading", level=1)).to_have_text("Acme Support")
    expect(page).to_have_title("Acme Support")


def test_a_name_out_of_a_table_is_taken(server: Server, context: BrowserContext) -> None:
    page = visit(context, server)
    save_details(page, name=" Olena\tKovalenko\t", email="")
    with page.expect_request(sent("hello")) as hello:
        say(page, "hello")
    assert body(hello.value)["name"] == "Olena Kovalenko"
    wait_for(page, own=1, replies=1)


def test_a_wrong_address_that_was_given_up_is_no_problem_any_more(server: Server, context: BrowserContext) -> None:
    page = visit(context, server)
    address = page.get_by_label("E-mail (optional)")
    save_details(page, name="", email="wrong")
    expect(address).to_have_attribute("aria-invalid", "true")
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Details").click()
    expect(address).to_have_value("")
    expect(address).to_have_attribute("aria-invalid", "false")
    expect(page.locator("#email-problem")).to_have_text("")


SIDES = """node => {
  const { direction, paddingLeft, paddingRight, borderRightWidth } = getComputedStyle(node);
  return [node.tagName, direction, paddingLeft, paddingRight, borderRightWidth];
}"""


@pytest.mark.parametrize(("typed", "direction"), [("שלום עולם", "rtl"), ("hello", "ltr")], ids=["rtl", "ltr"])
def test_each_paragraph_has_its_own_direction(
    server: Server, context: BrowserContext, typed: str, direction: str
) -> None:
    page = visit(context, server)
    box = page.get_by_label("Message", exact=True)
    box.fill(typed)
    expect(box).to_have_css("direction", direction)
    say(page, typed)
    expect(page.locator(".own .text")).to_have_css("direction", direction)
    say(page, "both ways")
    wait_for(page, own=2, replies=2)
    assert [block.evaluate(SIDES) for block in page.locator(".reply").last.locator(".text > *").all()] == [
        ["P", "rtl", "0px", "0px", "0px"],
        ["UL", "rtl", "0px", "22.4px", "0px"],
        ["BLOCKQUOTE", "rtl", "0px", "12px", "3px"],
        ["P", "ltr", "0px", "0px", "0px"],
    ]


FITS = """(node) => {
  const text = document.createRange();
  text.selectNodeContents(node);
  const [inner, outer] = [text.getBoundingClientRect(), node.getBoundingClientRect()];
  const corner = Math.min(parseFloat(getComputedStyle(node).borderTopLeftRadius), outer.height / 2, outer.width / 2);
  const [x, y] = [corner - (inner.left - outer.left), corner - (inner.top - outer.top)];
  return Math.hypot(Math.max(0, x), Math.max(0, y)) <= corner;
}"""


def test_what_is_long_stays_within_its_border(server: Server, context: BrowserContext) -> None:
    page = visit(context, server)
    say(page, "both ways")
    wait_for(page, own=1, replies=1)
    assert page.get_by_role("group", name="Quick replies").get_by_role("button").evaluate(FITS)
    box = page.get_by_label("Message", exact=True)
    box.fill("two\nlines")
    assert box.evaluate("box => box.scrollHeight <= box.clientHeight")


def test_a_reply_shows_when_it_was_made(server: Server, context: BrowserContext) -> None:
    context.clock.set_fixed_time("2040-01-02T03:04:05Z")
    page = visit(context, server)
    say(page, "one")
    wait_for(page, own=1, replies=1)
    own, reply = (time.get_attribute("datetime") for time in page.locator("time").all())
    assert own == "2040-01-02T03:04:05.000Z"
    made = [datetime.fromtimestamp(at / 1000, UTC) for (at,) in server.rows("SELECT created_at FROM deliveries")]
    # The store rounds to milliseconds, the message cuts them off.
    shown = datetime.fromisoformat(reply or "")
    assert any(abs(moment - shown) <= timedelta(milliseconds=1) for moment in made)


RING = measure("""
  const node = document.activeElement;
  const style = getComputedStyle(node);
  return [`${node.tagName}.${node.className}`, style.outlineStyle, ratio(node.parentElement, style.outlineColor)];
""")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_what_has_the_focus_is_seen(server: Server, browser: Browser, scheme: Literal["light", "dark"]) -> None:
    context = browser.new_context(color_scheme=scheme)
    page = visit(context, server)
    say(page, "which plan")
    expect(page.get_by_role("button", name="Basic")).to_be_visible()
    page.get_by_role("button", name="Details").click()
    page.get_by_label("Message", exact=True).focus()
    rings = {}
    while "End chat" not in page.evaluate("document.activeElement.textContent"):
        page.keyboard.press("Shift+Tab")
        name, style, contrast = page.evaluate(RING)
        rings[name] = (style, contrast >= 3)
    assert rings == dict.fromkeys(
        ("BUTTON.choice", "A.", "DIV.log", "BUTTON.primary", "INPUT.", "BUTTON.quiet"), ("solid", True)
    )
    context.close()


def test_a_text_that_was_made_shorter_is_no_problem_any_more(server: Server, context: BrowserContext) -> None:
    page = visit(context, server)
    box = page.get_by_label("Message", exact=True)
    say(page, "x" * 4001)
    expect(box).to_have_attribute("aria-invalid", "true")
    expect(box).to_have_accessible_description(
        "Enter sends, Shift and Enter start a new line. 4001 characters: at most 4000 fit in one message."
    )
    page.keyboard.press("Backspace")
    expect(box).to_have_attribute("aria-invalid", "false")
    expect(box).to_have_accessible_description("Enter sends, Shift and Enter start a new line.")


def test_a_refused_message_is_changed_with_a_finger(server: Server, context: BrowserContext) -> None:
    page = visit(context, server)
    page.route("**/chat/message", lambda route: route.fulfill(status=400, json={"title": "not like this"}))
    say(page, "hello")
    button = page.get_by_role("button", name="Edit")
    box = button.bounding_box()
    assert box is not None
    assert min(box["width"], box["height"]) >= 24
    button.click()
    expect(page.get_by_label("Message", exact=True)).to_have_value("hello")


def test_nothing_jumps_when_the_connection_is_lost(server: Server, browser: Browser) -> None:
    context = browser.new_context(viewport={"width": 320, "height": 568})
    page = visit(context, server)
    before = page.get_by_role("log").bounding_box()
    page.route("**/chat/message", lambda route: route.abort())
    say(page, "hello")
    expect(page.get_by_role("status")).to_contain_text("No connection")
    assert page.get_by_role("log").bounding_box() == before
    context.close()


COMPOSED = """box => box.dispatchEvent(
  new KeyboardEvent("keydown", { key: "Enter", keyCode: 229, bubbles: true, cancelable: true }))"""


def test_enter_that_ends_a_composition_sends_nothing_in_safari(server: Server, context: BrowserContext) -> None:
    page = visit(context, server)
    box = page.get_by_label("Message", exact=True)
    box.fill("にほ")
    assert box.evaluate(COMPOSED)
    expect(box).to_have_value("にほ")
