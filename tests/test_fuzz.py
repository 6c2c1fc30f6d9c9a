"""What the fuzzer found once, and a short run of it: nothing but sound results and errors for a person, in little time.

`python -m tests.fuzz --seconds 60` goes on for longer.
"""

import json
import random
import time
from collections.abc import Mapping

import pytest

from bridge.adapter.protocol import HttpCall
from tests.fuzz.accounts import HOSTILE
from tests.fuzz.targets import Finding, Target, judge, targets

MARKS = "\u0327\u0301" * 50_000
"""Combining marks in the wrong order: to put them right takes quadratic time."""

FOUND = {
    "an address of combining marks took hours": ("event", MARKS),
    "the same with a tab that the standard library drops": ("event", f"/\t/{MARKS}"),
    "the same as the address of a file": ("event", f"https://files.example{MARKS}"[:60_000]),
    "a visitor's text led a call to another path": ("event", "../../admin"),
    "the same in codes": ("event", "%2e%2E/admin"),
    "a name in a template of combining marks took half a minute": ("template", f"{{{{ a{MARKS[:50_000]} }}}}"),
    "half a character in a template could not be kept": ("template", r'{{ text ~ "\ud800" }}'),
    "the same in the text of a rule": (
        "rules",
        json.dumps({"rules": [{"name": "a", "on": "message", "do": [{"reply": {"text": r'{{ "\udfff" }}'}}]}]}),
    ),
}


@pytest.fixture(scope="module")
def all_targets(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Target]:
    return {one.name: one for one in targets(tmp_path_factory.mktemp("fuzz"))}


@pytest.mark.parametrize(("name", "case"), FOUND.values(), ids=FOUND)
def test_what_was_found_is_mended(all_targets: Mapping[str, Target], name: str, case: str) -> None:
    began = time.process_time()
    all_targets[name].attempt(case)
    assert time.process_time() - began < 5  # at most 0.3 where nothing else runs


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: ascii(text[:30]))
def test_what_a_visitor_writes_is_data_wherever_a_rule_puts_it(all_targets: Mapping[str, Target], text: str) -> None:
    all_targets["event"].attempt(text)


@pytest.mark.parametrize("name", ["rules", "template", "event", "webhook"])
def test_a_short_run(all_targets: Mapping[str, Target], name: str) -> None:
    draw, target = random.Random(20261121), all_targets[name]
    for _ in range(60):
        case = target.case(draw)
        began = time.process_time()
        target.attempt(case)
        assert time.process_time() - began < 5, case[:200]


@pytest.mark.parametrize(
    ("url", "headers"),
    [
        ("https://evil.example/", {}),
        ("http://api.example.com/", {}),
        ("https://api.example.com@evil.example/", {}),
        ("https://api.example.com:8443/", {}),
        ("https://api.example.com/a/../b", {}),
        ("https://api.example.com/a/%2e%2E/b", {}),
        ("https://api.example.com/a b", {}),
        ("https://api.example.com/é", {}),
        ("https://api.example.com/", {"x": "a\r\nb: c"}),
        ("https://api.example.com/", {"x\r\n": "a"}),
    ],
)
def test_the_fuzzer_would_see_a_call_that_goes_astray(url: str, headers: Mapping[str, str]) -> None:
    with pytest.raises(Finding):
        judge(HttpCall(method="GET", url=url, headers=headers))
