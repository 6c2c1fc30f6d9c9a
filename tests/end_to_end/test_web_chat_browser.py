"""The web chat in a real browser against the real command: killed and started again while a visitor writes."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, expect

from tests.end_to_end.server import Server
from tests.end_to_end.visitor import FILES, PATIENCE, measure, say, texts, visit, wait_for


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, browser: Browser) -> Iterator[Server]:
    running = Server(tmp_path_factory.mktemp("chat"), FILES)
    running.start()
    yield running
    running.kill()


@pytest.fixture
def mortal(tmp_path: Path, browser: Browser) -> Iterator[Server]:
    """A server of one test, which may kill it."""
    running = Server(tmp_path, FILES)
    running.start()
    yield running
    running.kill()


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    fresh = browser.new_context(viewport={"width": 1100, "height": 800})
    fresh.set_default_timeout(PATIENCE)
    yield fresh
    fresh.close()


def test_nothing_is_lost_doubled_or_out_of_order_when_the_server_is_killed(
    mortal: Server, context: BrowserContext
) -> None:
    page = visit(context, mortal)
    say(page, "one")
    wait_for(page, own=1, replies=1)
    mortal.kill()
    say(page, "two")
    say(page, "three")
    expect(page.get_by_text("Sending…")).to_have_count(2)
    expect(page.get_by_role("status")).to_contain_text("No connection")
    mortal.start()
    wait_for(page, own=3, replies=3)
    expect(page.get_by_role("status")).to_have_text("Online")
    assert [t for t in texts(page) if t.startswith("You said")] == [f"You said: {n}" for n in ("one", "two", "three")]
    assert [t for t in texts(page) if not t.startswith("You said")] == ["one", "two", "three"]

    # Killed at the very moment of sending: whether it was acknowledged or not, it counts once.
    say(page, "four")
    mortal.kill()
    mortal.start()
    wait_for(page, own=4, replies=4)
    say(page, "five")
    wait_for(page, own=5, replies=5)
    seen = texts(page)
    assert seen[:2] == ["one", "You said: one"]
    assert seen[-4:] == ["four", "You said: four", "five", "You said: five"]
    assert len(seen) == len(set(seen)) == 10

    page.reload()
    wait_for(page, own=5, replies=5)
    assert texts(page) == seen


def test_a_message_typed_in_a_closed_page_is_sent_by_the_next(mortal: Server, context: BrowserContext) -> None:
    page = visit(context, mortal)
    mortal.kill()
    say(page, "wait for me")
    expect(page.get_by_text("Sending…")).to_have_count(1)
    page.close()
    mortal.start()
    page = visit(context, mortal)
    wait_for(page, own=1, replies=1)
    assert texts(page) == ["wait for me", "You said: wait for me"]


def test_two_tabs_show_one_conversation(server: Server, context: BrowserContext) -> None:
    first, second = visit(context, server), visit(context, server)
    say(first, "from the first")
    for page in (first, second):
        wait_for(page, own=1, replies=1)
    say(second, "from the second")
    for page in (first, second):
        wait_for(page, own=2, replies=2)
    expected = ["from the first", "You said: from the first", "from the second", "You said: from the second"]
    assert texts(first) == texts(second) == expected


@pytest.mark.parametrize("typed", ["<img src=x onerror=\"document.title='hit'\">", "**bold** _it_", "{{ 7*7 }}"])
def test_what_a_visitor_types_is_shown_as_typed(server: Server, context: BrowserContext, typed: str) -> None:
    page = visit(context, server)
    say(page, typed)
    wait_for(page, own=1, replies=1)
    assert texts(page) == [typed, f"You said: {typed}"]
    expect(page.locator(".own .text *")).to_have_count(0)
    expect(page.locator(".reply .text :not(p)")).to_have_text(["You said:"])
    expect(page).to_have_title("Chat")


def test_the_keyboard_alone_is_enough(server: Server, context: BrowserContext) -> None:
    page = visit(context, server)
    page.get_by_label("Message", exact=True).blur()
    for _ in range(10):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.id") == "text":
            break
    page.keyboard.type("first line")
    page.keyboard.press("Shift+Enter")
    page.keyboard.type("second line")
    page.keyboard.press("Enter")
    wait_for(page, own=1, replies=1)
    assert page.locator(".own .text").text_content() == "first line\nsecond line"
    expect(page.get_by_label("Message", exact=True)).to_be_focused()
    page.keyboard.press("Shift+Tab")
    expect(page.get_by_role("log")).to_be_focused()
    page.keyboard.press("Shift+Tab")
    expect(page.get_by_role("button", name="End chat")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("region", name="The chat has ended")).to_be_focused()
    expect(page.get_by_label("Message", exact=True)).to_be_hidden()
    page.keyboard.press("Enter")
    expect(page.locator(".entry")).to_have_count(3)
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Start a new chat")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_label("Message", exact=True)).to_be_focused()
    expect(page.locator(".entry")).to_have_count(0)


def test_what_is_asked_at_the_end_can_be_answered(server: Server, context: BrowserContext) -> None:
    page = visit(context, server)
    say(page, "ask me")
    wait_for(page, own=1, replies=1)
    page.get_by_role("button", name="End chat").click()
    wait_for(page, own=1, replies=2)
    expect(page.get_by_role("region", name="The chat has ended")).to_be_focused()
    page.keyboard.press("Enter")
    say(page, "5")
    wait_for(page, own=2, replies=3)
    assert texts(page)[-3:] == ["How did we do, from 1 to 5?", "5", "You said: 5"]
    page.reload()
    wait_for(page, own=2, replies=3)
    expect(page.get_by_label("Message", exact=True)).to_be_visible()
    page.get_by_role("button", name="Start a new chat").click()
    expect(page.locator(".entry")).to_have_count(0)
    expect(page.get_by_role("button", name="End chat")).to_be_visible()


def test_quick_replies_are_pressed_and_files_opened(server: Server, context: BrowserContext) -> None:
    page = visit(context, server)
    say(page, "which plan")
    wait_for(page, own=1, replies=1)
    choices = page.get_by_role("group", name="Quick replies").get_by_role("button")
    expect(choices).to_have_text(["Basic", "Більший план"])
    offer = page.get_by_role("list", name="Files").get_by_role("link", name="The offer.pdf")
    assert (offer.get_attribute("href"), offer.get_attribute("target")) == ("https://shop.example/offer.pdf", "_blank")
    choices.nth(1).click()
    wait_for(page, own=2, replies=2)
    assert texts(page)[-2:] == ["Більший план", "You said: Більший план"]
    expect(choices).to_have_count(0)
    expect(page.get_by_label("Message", exact=True)).to_be_focused()
    page.reload()
    wait_for(page, own=2, replies=2)
    expect(choices).to_have_count(0)
    expect(offer).to_be_visible()

    # By the keyboard, and again after the page was opened anew.
    say(page, "which plan")
    expect(choices).to_have_count(2)
    page.reload()
    expect(choices).to_have_count(2)
    page.get_by_role("log").focus()
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    expect(page.locator(".entry").last.get_by_role("link")).to_be_focused()
    page.keyboard.press("Tab")
    expect(choices.first).to_be_focused()
    page.keyboard.press("Enter")
    wait_for(page, own=4, replies=4)
    assert texts(page)[-2:] == ["Basic", "You said: Basic"]


def test_name_and_email_are_asked_for_and_checked(server: Server, context: BrowserContext) -> None:
    page = visit(context, server)
    page.get_by_role("button", name="Details").click()
    expect(page.get_by_label("Name (optional)")).to_be_focused()
    page.get_by_label("Name (optional)").fill("Olena")
    page.get_by_label("E-mail (optional)").fill("olena at example")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert").filter(has_text="e-mail")).to_be_visible()
    page.get_by_label("E-mail (optional)").fill("olena@example.com")
    page.keyboard.press("Enter")
    expect(page.get_by_label("E-mail (optional)")).to_be_hidden()
    with page.expect_request("**/chat/message") as sent:
        say(page, "hello")
    body = json.loads(sent.value.post_data or "")
    assert (body["text"], body["name"], body["email"]) == ("hello", "Olena", "olena@example.com")
    assert "chat-session" not in sent.value.url
    wait_for(page, own=1, replies=1)


def test_a_message_over_the_limit_stays_in_the_box(server: Server, context: BrowserContext) -> None:
    page = visit(context, server)
    say(page, "x" * 4001)
    expect(page.get_by_role("alert").filter(has_text="4001 characters: at most 4000")).to_be_visible()
    expect(page.locator(".entry")).to_have_count(0)
    say(page, "🙂" * 4000)
    wait_for(page, own=1, replies=1)


CONTRASTS = measure("""
  const found = [];
  for (const node of document.querySelectorAll("body *")) {
    const own = [...node.childNodes].some((child) => child.nodeType === 3 && child.data.trim());
    const written = own || node.placeholder || node.tagName === "svg";
    if (!written || !node.checkVisibility() || node.closest(".unseen")) continue;
    const style = getComputedStyle(node, node.placeholder ? "::placeholder" : null);
    const what = `${node.tagName}.${node.className.baseVal ?? node.className}`;
    found.push({ what, ratio: ratio(node, style.color) });
  }
  return found;
""")

LABELS = """() => [...document.querySelectorAll("input, textarea, button")].map((node) => ({
  id: node.id,
  label: [...(node.labels ?? [])].map((label) => label.textContent.trim()).join()
    || node.ariaLabel || node.textContent.trim(),
}))"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everybody_can_read_and_name_what_is_on_the_page(server: Server, browser: Browser, scheme: Any) -> None:
    context = browser.new_context(color_scheme=scheme, viewport={"width": 390, "height": 844}, reduced_motion="reduce")
    page = visit(context, server)
    say(page, "show me")
    wait_for(page, own=1, replies=1)
    expect(page.locator(".reply").get_by_role("link", name="our prices")).to_be_visible()
    say(page, "which plan")
    expect(page.get_by_role("button", name="Basic")).to_be_visible()
    page.get_by_role("button", name="Details").click()
    page.get_by_label("E-mail (optional)").fill("wrong")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert").filter(has_text="e-mail")).to_be_visible()
    measured = page.evaluate(CONTRASTS)
    assert {"A.", "CODE.", "LI.", "TEXTAREA.", "SPAN.problem", "BUTTON.choice"} <= {found["what"] for found in measured}
    assert [found for found in measured if found["ratio"] < 4.5] == []
    assert [found for found in page.evaluate(LABELS) if not found["label"]] == []
    log = page.get_by_role("log", name="Conversation")
    assert (log.get_attribute("aria-live"), log.get_attribute("aria-busy")) == ("polite", "false")
    assert page.evaluate("[document.documentElement.scrollWidth, document.documentElement.lang]") == [390, "en"]
    expect(page.get_by_role("button", name="Send")).to_be_in_viewport(ratio=1)
    context.close()
