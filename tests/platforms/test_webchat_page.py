"""The scripts of the web chat's page, run in a real browser without a server: text in, nodes and events out."""

from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, Route

from bridge.platforms.webchat import adapter
from tests.fakes.chromium import chromium

FILES = {route.path: route.page for route in adapter.routes if route.what == "page"}


def answer(route: Route) -> None:
    file = FILES.get(urlsplit(route.request.url).path)
    if file is None:
        route.abort()
    else:
        route.fulfill(status=file.status, body=file.body, content_type=file.content_type, headers=dict(file.headers))


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    with chromium() as browser:
        opened = browser.new_page()
        opened.route("**/*", answer)
        opened.goto("http://chat.example/")
        yield opened


SHOWN = [
    (
        "**b** *i* ***x*** __u__ _v_",
        "<p><strong>b</strong> <em>i</em> <strong><em>x</em></strong> <strong>u</strong> <em>v</em></p>",
    ),
    ("a\nb\n\nc", "<p>a<br>b</p><p>c</p>"),
    (
        "- a\n- **b**\n\n3. c\n4. d",
        '<ul><li>a</li><li><strong>b</strong></li></ul><ol start="3"><li>c</li><li>d</li></ol>',
    ),
    ("`a*b*` ``x`y``", "<p><code>a*b*</code> <code>x`y</code></p>"),
    ("```\n<b>\n```", "<pre><code>&lt;b&gt;</code></pre>"),
    ("# T\n> q", "<p><strong>T</strong></p><blockquote><p>q</p></blockquote>"),
    (r"\*a\* \<b\> &lt;i&gt; &#42;x&#42; <u>", "<p>*a* &lt;b&gt; &lt;i&gt; *x* &lt;u&gt;</p>"),
    ("snake_case_name 2 * 3 * 4 ** a*", "<p>snake_case_name 2 * 3 * 4 ** a*</p>"),
    ("**open *both", "<p>**open *both</p>"),
    ("[a](javascript:alert(1))", "<p>a (javascript:alert(1))</p>"),
    ("[a](&#106;avascript:alert%281%29)", "<p>a (javascript:alert%281%29)</p>"),
    ("[a](data:text/html,x) [b](//evil.example)", "<p>a (data:text/html,x) b (//evil.example)</p>"),
    (r"\[a\](https\://x.example)", "<p>[a](https://x.example)</p>"),
]
LINKS = [
    ('[**a** b](https://x.example/p?q=1#f "title")', "https://x.example/p?q=1#f", "a b"),
    ("<mailto:a@b.example>", "mailto:a@b.example", "a@b.example"),
    ("(see https://x.example/a).", "https://x.example/a", "https://x.example/a"),
    ("[a](https://x.example/b_(c))", "https://x.example/b_(c)", "a"),
]
RENDER = """async (text) => {
  const { markdown } = await import("/chat/markdown.js");
  const box = document.createElement("div");
  box.append(...markdown(text));
  return { html: box.innerHTML, links: [...box.querySelectorAll("a")].map((a) => [a.href, a.textContent, a.rel]) };
}"""


def test_markdown_becomes_only_what_it_says(page: Page) -> None:
    assert [(text, page.evaluate(RENDER, text)["html"]) for text, _ in SHOWN] == SHOWN
    links = [(text, [(href, label, "noopener noreferrer nofollow")]) for text, href, label in LINKS]
    assert [(text, [tuple(a) for a in page.evaluate(RENDER, text)["links"]]) for text, *_ in LINKS] == links


@pytest.mark.parametrize(
    "piece", ["*", "**a ", "[", "[a](", "`", "_a_ ", "<", "&#", "> ", "- ", "\\", "``` ", "[a](b(", "```\n"]
)
def test_hostile_markdown_takes_linear_time(page: Page, piece: str) -> None:
    timed = """async (piece) => {
      const { markdown } = await import("/chat/markdown.js");
      const began = performance.now();
      markdown(piece.repeat(50_000 / piece.length));
      return performance.now() - began;
    }"""
    assert page.evaluate(timed, piece) < 3000


def test_a_stream_may_be_cut_anywhere(page: Page) -> None:
    stream = (
        ': hello\n\nid: 7\nevent: message\ndata: {"a":1}\n\nid: 9\r\ndata: x\r\ndata: y\r\n\r\n'
        "event: other\ndata: z\n\nid: 10\ndata: cu"
    )
    parse = """async ([stream, cut]) => {
      const { reader } = await import("/chat/listen.js");
      const events = [];
      const feed = reader((event) => events.push(event));
      feed(stream.slice(0, cut));
      feed(stream.slice(cut));
      return events;
    }"""
    expected = [
        {"id": "7", "event": "message", "data": '{"a":1}'},
        {"id": "9", "event": "message", "data": "x\ny"},
        {"id": "9", "event": "other", "data": "z"},
    ]
    seen = [page.evaluate(parse, [stream, cut]) for cut in range(len(stream) + 1)]
    assert seen == [expected] * len(seen)
