"""Rules and templates edited under a running bridge: real files, the clock turned by hand."""

import asyncio
import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import pytest

from bridge.chance import SystemChance
from bridge.clock import SystemClock
from bridge.reload.asked import Asked, Status
from bridge.reload.kept import Kept
from tests.fakes.chat_server import ChatServer
from tests.running import ECHO, Site, a_bridge, a_site, settings_in, site
from tests.test_app import refused

NEW = ECHO.replace("you said", "they said")
BROKEN = ECHO.replace("on: message", "on: mesage")
BY_TEMPLATE = ECHO.replace('{text: "you said {{ text }}"}', "{template: echo.md.j2}")
UNLIMITED = "[rulebook]\nreplies_per_hour = 1000\n"


async def answer(running: Site, fake: ChatServer, text: str) -> object:
    """What is answered to this message; "" where nothing is."""
    before = len(fake.received)
    await running.say(text)
    await running.settle()
    return fake.received[before]["message"] if len(fake.received) > before else ""


def version(running: Site) -> str:
    return running.running.line.behaviour.rulebook.version


async def changed(running: Site, before: str) -> str:
    await running.until(lambda: version(running) != before)
    return version(running)


async def refusal(running: Site) -> None:
    await running.until(lambda: running.running.reloader.broken)


async def kept(directory: Path, running: Site) -> None:
    """Until what runs is kept for a restart."""
    copies = Kept(directory / "data" / "rulebook")
    await running.until(lambda: version(running) in [sources.version for sources, _ in copies.newest()])


async def metrics(running: Site) -> Mapping[str, float]:
    async with running.client.get(f"{running.running.url}/metrics") as got:
        found = re.findall(r"^(replybridge_rulebook\S*) (\S+)$", await got.text(), re.MULTILINE)
    return {name: float(value) for name, value in found}


async def readiness(running: Site) -> tuple[int, object]:
    async with running.client.get(f"{running.running.url}/readyz") as got:
        return got.status, (await got.json())["rulebook"]


async def test_an_edit_goes_live_by_itself(tmp_path: Path) -> None:
    async with a_site(tmp_path) as (running, fake):
        first = version(running)
        assert await answer(running, fake, "a") == "you said a"
        (tmp_path / "rules" / "rules.yaml").write_text(NEW)
        second = await changed(running, first)
        assert await answer(running, fake, "b") == "they said b"
        assert await metrics(running) == {
            f'replybridge_rulebook_info{{version="{second}"}}': 1,
            "replybridge_rulebook_broken": 0,
            'replybridge_rulebook_reloads_total{outcome="taken"}': 1,
        }
        assert await readiness(running) == (200, "current")


async def test_a_broken_edit_changes_nothing_until_it_is_mended(tmp_path: Path) -> None:
    async with a_site(tmp_path) as (running, fake):
        first, rules = version(running), tmp_path / "rules" / "rules.yaml"
        rules.write_text(BROKEN)
        await refusal(running)
        assert await answer(running, fake, "a") == "you said a"
        assert await readiness(running) == (200, "last good")
        assert await metrics(running) == {
            f'replybridge_rulebook_info{{version="{first}"}}': 1,
            "replybridge_rulebook_broken": 1,
            'replybridge_rulebook_reloads_total{outcome="refused"}': 1,
        }
        rules.write_text(NEW)
        await changed(running, first)
        assert await answer(running, fake, "b") == "they said b"
        assert await readiness(running) == (200, "current")
        assert (await metrics(running))["replybridge_rulebook_broken"] == 0


async def test_a_broken_edit_that_is_taken_back_is_broken_no_more(tmp_path: Path) -> None:
    async with a_site(tmp_path) as (running, fake):
        first, rules = version(running), tmp_path / "rules" / "rules.yaml"
        rules.write_text(BROKEN)
        await refusal(running)
        rules.write_text(ECHO)
        await running.until(lambda: not running.running.reloader.broken)
        assert version(running) == first
        assert await answer(running, fake, "a") == "you said a"


async def test_a_restart_in_the_middle_of_a_broken_edit_comes_up_with_the_last_good_rulebook(tmp_path: Path) -> None:
    files = {"templates/echo.md.j2": "as ever: {{ text }}"}
    async with a_site(tmp_path, BY_TEMPLATE, files=files) as (running, fake):
        good = version(running)
        await kept(tmp_path, running)
    broken = {"templates/echo.md.j2": "broken: {{ text"}
    async with a_site(tmp_path, BY_TEMPLATE, files=broken) as (running, fake):
        assert version(running) == good
        assert await readiness(running) == (200, "last good")
        assert (await metrics(running))["replybridge_rulebook_broken"] == 1
        assert await answer(running, fake, "a") == "as ever: a"
        (tmp_path / "templates" / "echo.md.j2").write_text("mended: {{ text }}")
        await changed(running, good)
        assert await answer(running, fake, "b") == "mended: b"
        assert await readiness(running) == (200, "current")
        await kept(tmp_path, running)
    # The one that was kept last comes up, not the first.
    async with a_site(tmp_path, BROKEN, files=broken) as (running, fake):
        assert await answer(running, fake, "c") == "mended: c"


async def test_a_last_good_rulebook_that_the_settings_no_longer_fit_is_not_used(tmp_path: Path) -> None:
    named = ECHO.replace("on: message", "on: message\n    account: site")
    async with a_site(tmp_path, named) as (running, _):
        await kept(tmp_path, running)
    other = {"bridge.toml": site("https://chat.example.com", "other"), "rules/rules.yaml": BROKEN}
    error = await refused(settings_in(tmp_path, other))
    assert str(error).startswith(f"{tmp_path}/rules/rules.yaml:4:9: ")


async def test_a_template_alone_is_taken_up(tmp_path: Path) -> None:
    files = {"templates/echo.md.j2": "one {{ text }}"}
    async with a_site(tmp_path, BY_TEMPLATE, files=files) as (running, fake):
        first = version(running)
        (tmp_path / "templates" / "echo.md.j2").write_text("two {{ text }}")
        await changed(running, first)
        assert await answer(running, fake, "a") == "two a"


async def test_a_file_that_is_removed_takes_its_rules_along(tmp_path: Path) -> None:
    more = ECHO.replace("name: echo", "name: more").replace("you said", "more of")
    async with a_site(tmp_path, files={"rules/more.yaml": more}) as (running, fake):
        first = version(running)
        await running.say("a")
        assert len(await running.settle()) == 2
        (tmp_path / "rules" / "rules.yaml").unlink()
        await changed(running, first)
        fake.received.clear()
        assert await answer(running, fake, "b") == "more of b"
        assert len(fake.received) == 1


async def test_a_folder_that_is_gone_is_an_accident(tmp_path: Path) -> None:
    async with a_site(tmp_path) as (running, fake):
        await kept(tmp_path, running)
        (tmp_path / "rules").rename(tmp_path / "elsewhere")
        await refusal(running)
        assert await answer(running, fake, "a") == "you said a"
        (tmp_path / "elsewhere").rename(tmp_path / "rules")
        await running.until(lambda: not running.running.reloader.broken)
        first = version(running)
        (tmp_path / "rules" / "rules.yaml").unlink()
        await changed(running, first)
        assert await answer(running, fake, "b") == ""
        await kept(tmp_path, running)
    # That there should be no rules is the last good word, whatever there was before it.
    async with a_site(tmp_path, BROKEN) as (running, fake):
        assert await answer(running, fake, "c") == ""


async def test_a_half_written_file_is_not_taken_up_and_the_whole_one_is(tmp_path: Path) -> None:
    async with a_site(tmp_path) as (running, fake):
        first, rules = version(running), tmp_path / "rules" / "rules.yaml"
        half = NEW.index("said")
        rules.write_text(NEW[:half])
        await refusal(running)
        with rules.open("a") as file:
            file.write(NEW[half:])
        await changed(running, first)
        assert await answer(running, fake, "a") == "they said a"


async def test_a_file_that_is_still_being_written_is_left_alone(tmp_path: Path) -> None:
    async with a_site(tmp_path) as (running, _):
        first, rules = version(running), tmp_path / "rules" / "rules.yaml"
        await running.until(lambda: running.clock.monotonic() > 2)
        for number in range(30):
            rules.write_text(f"{BROKEN}# {number}")
            await running.pass_by(0.3)
        assert not running.running.reloader.broken
        rules.write_text(NEW)
        await changed(running, first)
        assert not running.running.reloader.broken


async def test_the_links_of_a_kubernetes_config_map_are_followed(tmp_path: Path) -> None:
    def config_map(name: str, text: str) -> None:
        (tmp_path / "rules" / name).mkdir()
        (tmp_path / "rules" / name / "a.yaml").write_text(text)
        link = tmp_path / "rules" / "..data_tmp"
        link.symlink_to(name)
        link.rename(tmp_path / "rules" / "..data")

    (tmp_path / "rules").mkdir()
    config_map("..2026_03_27", ECHO)
    (tmp_path / "rules" / "a.yaml").symlink_to("..data/a.yaml")
    async with a_site(tmp_path, rules="") as (running, fake):
        first = version(running)
        assert await answer(running, fake, "a") == "you said a"
        config_map("..2026_03_28", NEW)
        await changed(running, first)
        assert await answer(running, fake, "b") == "they said b"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("rules/rules.yaml", NEW + "    examples: [{message: hi, expect: {reply: {contains: you said}}}]\n"),
        ("rules/a.test.yaml", "tests: [{name: t, steps: [{message: hi}, {expect: nothing}]}]\n"),
        ("rules/a.test.yaml", "tests: [{name: t, stepps: []}]\n"),
        ("rules/rules.yaml", ECHO.replace("reply: {", "reply: {via: nobody, ")),
        ("rules/rules.yaml", ECHO.replace("{{ text }}", "{{ contact.name }}")),
        ("templates/unused.md.j2", "{% if %}"),
        ("rules/binary.yaml", "\x00\x01"),
    ],
)
async def test_what_the_gate_looks_at(tmp_path: Path, name: str, content: str) -> None:
    async with a_site(tmp_path) as (running, fake):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content)
        await refusal(running)
        assert await answer(running, fake, "hi") == "you said hi"


async def test_a_first_start_with_a_failing_test_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    test = "tests: [{name: silence, steps: [{message: hi}, {expect: nothing}]}]\n"
    settings = {"bridge.toml": site("https://chat.example.com"), "rules/rules.yaml": ECHO, "rules/a.test.yaml": test}
    error = await refused(settings_in(tmp_path, settings))
    assert "a.test.yaml:1:" in str(error)
    assert 'test "silence": ' in str(error)
    assert not (tmp_path / "data").exists()


async def ask(directory: Path, running: Site) -> Status:
    asked = Asked(directory / "data" / "rulebook")
    asking = asyncio.create_task(asked.ask(SystemChance().token(), SystemClock()))
    await running.until(asking.done)
    return await asking


async def test_without_watching_it_waits_to_be_asked(tmp_path: Path) -> None:
    async with a_site(tmp_path, more="[rulebook]\nwatch = false\n") as (running, fake):
        first, rules = version(running), tmp_path / "rules" / "rules.yaml"
        await running.until(lambda: (tmp_path / "data" / "rulebook" / "serving").exists())
        assert (await ask(tmp_path, running)).came == "unchanged"
        rules.write_text(NEW)
        later = running.clock.monotonic() + 20
        await running.until(lambda: running.clock.monotonic() > later)
        assert version(running) == first
        taken = await ask(tmp_path, running)
        assert (taken.came, taken.running, taken.rules, taken.problems) == ("taken", version(running), 1, ())
        assert await answer(running, fake, "a") == "they said a"
        rules.write_text(BROKEN)
        for _ in range(2):
            told = await ask(tmp_path, running)
            assert (told.came, told.running) == ("refused", taken.running)
            assert str(told.problems[0]).startswith(f"{rules}:4:9: ")
        rules.write_text(ECHO)
        running.running.reloader.ask()
        assert await changed(running, taken.running) == first


async def test_follow_ups_survive_a_reload(tmp_path: Path) -> None:
    nudge = '{after: 10m, do: [{reply: {text: "still there, SAYING {{ text }}?"}}]}'
    rules = "rules:\n" + "".join(f"  - {{name: {name}, on: message, do: [{nudge}]}}\n" for name in ("stays", "goes"))
    async with a_site(tmp_path, rules.replace("SAYING", "saying")) as (running, fake):
        first = version(running)
        await running.say("a")
        edited = rules.replace("SAYING", "having said").replace("name: goes", "name: new")
        (tmp_path / "rules" / "rules.yaml").write_text(edited)
        await changed(running, first)
        running.clock.advance(600)
        await running.until(lambda: fake.received)
        await running.settle()
        assert [one["message"] for one in fake.received] == ["still there, having said a?"]
        dropped = {"rule": "goes", "dropped": "the rulebook has this follow-up no more"}
        assert dropped in [entry for trace in running.traces() for entry in trace]


async def test_where_nothing_can_be_kept_edits_go_live_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "rulebook").write_text("in the way")
    async with a_site(tmp_path) as (running, fake):
        first = version(running)
        (tmp_path / "rules" / "rules.yaml").write_text(NEW)
        await changed(running, first)
        assert await answer(running, fake, "a") == "they said a"


async def test_under_load_no_event_is_lost_and_none_is_answered_by_half_a_rulebook(tmp_path: Path) -> None:
    """Two rules answer every message, and they are always edited together."""

    def rules(word: str) -> dict[str, str]:
        both = {name: ECHO.replace("name: echo", f"name: {name}") for name in ("one", "two")}
        return {f"{name}.yaml": rule.replace("you said", f"{word} {name}") for name, rule in both.items()}

    async with ChatServer() as fake, a_bridge(tmp_path, site(fake) + UNLIMITED, "", chat_server=fake.url) as running:
        sent, words, taken = 0, Counter[str](), set[str]()
        while len(taken) < 6:
            for name, text in rules(f"v{len(taken)}").items():
                (tmp_path / "rules" / name).write_text(text)
            before = version(running)
            while version(running) == before:
                calls = [running.say(f"m{sent + n}", chatSessionID=f"session-of-{sent + n}") for n in range(8)]
                await asyncio.gather(*calls)
                sent += len(calls)
                running.clock.advance(0.1)
            taken.add(version(running))
        assert {one.state for one in await running.settle()} == {"sent"}
    answers: dict[str, list[str]] = {}
    for one in fake.received:
        word, rule, text = str(one["message"]).split()
        answers.setdefault(text, []).append(word + rule)
        words[word] += 1
    halves = [found for found in answers.values() if sorted(found) != [found[0][:2] + "one", found[0][:2] + "two"]]
    assert halves == []
    # Before the first edit was taken up there were no rules.
    silent = {f"m{number}" for number in range(sent)} - set(answers)
    assert silent == {f"m{number}" for number in range(len(silent))}
    assert len(words) >= 4
