import io
import json
import logging
import os
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from bridge.adapter.secret import Secret
from bridge.observe import Format, Level, Metrics, configure_logging, log, looks_secret


class Terminal(io.BytesIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    """Logging is the one thing of the process that cannot be handed over; put it back as it was."""
    handlers = logging.getLogger().handlers[:]
    yield
    logging.getLogger().handlers[:] = handlers
    structlog.reset_defaults()


def lines(stream: io.BytesIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def configured(format: Format = "json", level: Level = "info") -> io.BytesIO:  # noqa: A002 - the setting's name
    stream = io.BytesIO()
    configure_logging(format, level, stream)
    return stream


def test_a_line_is_json_with_the_ids_it_is_about() -> None:
    stream = configured()
    log(event=17, conversation="c", delivery=7, account="shop").info("sent", took=0.5)
    [line] = lines(stream)
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "message": "sent",
        "level": "info",
        "event": 17,
        "conversation": "c",
        "delivery": 7,
        "account": "shop",
        "took": 0.5,
    }


def test_ids_that_are_not_given_are_left_out() -> None:
    stream = configured()
    log(delivery=7).info("sent")
    assert lines(stream)[0].keys() == {"message", "level", "timestamp", "delivery"}


def test_lines_below_the_level_are_not_written() -> None:
    stream = configured(level="warning")
    log().info("no")
    log().warning("yes")
    assert [line["message"] for line in lines(stream)] == ["yes"]


@pytest.mark.parametrize(
    ("name", "secret"),
    [
        ("api_key", True),
        ("apiKey", True),
        ("X-Api-Key", True),
        ("password", True),
        ("chat_account_tokens", True),
        ("client_secret", True),
        ("Authorization", True),
        ("Set-Cookie", True),
        ("key", False),
        ("account", False),
        ("author", False),
    ],
)
def test_names_that_look_secret(name: str, secret: bool) -> None:
    assert looks_secret(name) is secret


@pytest.mark.parametrize("format", ["json", "console"])
def test_secrets_are_not_written(format: Format) -> None:  # noqa: A002 - the setting's name
    stream = configured(format)
    headers = {"Authorization": "hunter2", "accept": "seen"}
    nested = [{"a": ({"token": "hunter2", "b": "seen"},)}]
    log().info("call", api_key="hunter2", headers=headers, nested=nested, key=Secret("hunter2"))
    written = stream.getvalue()
    assert b"hunter2" not in written
    assert (written.count(b"<secret>"), written.count(b"seen")) == (4, 2)
    assert headers == {"Authorization": "hunter2", "accept": "seen"}


@pytest.mark.parametrize("format", ["json", "console"])
def test_local_variables_are_not_written_with_a_traceback(format: Format) -> None:  # noqa: A002 - the setting's name
    stream = configured(format)

    def fail(password: str) -> None:
        raise OSError(len(password))

    try:
        fail("hunter" + str(2))
    except OSError:
        log().exception("failed")
    assert b"OSError: 7" in stream.getvalue()
    assert b"hunter2" not in stream.getvalue()


def test_what_json_cannot_say_is_written_all_the_same() -> None:
    stream = configured()
    deep: list[object] = []
    for _ in range(5000):
        deep = [deep]
    log().info("odd", number=2**80, text="\udc80", thing=object, keys={1: {2: 3}}, deep=deep)
    [line] = lines(stream)
    assert (line["number"], line["text"], line["keys"]) == (2**80, "\udc80", {"1": {"2": 3}})


@given(st.text(), st.text())
def test_no_text_moves_the_cursor_or_forges_a_line(message: str, text: str) -> None:
    readable = configured("console")
    log().info(message, text=text)
    shown = readable.getvalue().decode()
    assert shown.endswith("\n")
    assert _controls(shown[:-1]) == []
    for_machines = configured("json")
    log().info(message, text=text)
    assert for_machines.getvalue().count(b"\n") == 1
    assert (lines(for_machines)[0]["message"], lines(for_machines)[0]["text"]) == (message, text)


def _controls(text: str) -> list[str]:
    return [character for character in text if unicodedata.category(character) in ("Cc", "Zl", "Zp")]


def test_a_terminal_is_for_people_and_all_else_for_machines() -> None:
    terminal, file = Terminal(), io.BytesIO()
    for stream in (terminal, file):
        configure_logging("auto", "info", stream)
        log().info("hello")
    assert not terminal.getvalue().startswith(b"{")
    assert lines(file)[0]["message"] == "hello"


def test_libraries_write_into_the_same_stream_from_warning_on() -> None:
    configured()
    stream = configured(level="debug")
    library = logging.getLogger("some.library")
    library.setLevel(logging.DEBUG)
    library.info("no")
    library.warning("%d left", 3)
    try:
        raise OSError("gone")
    except OSError:
        library.exception("failed")
    library.error("failed", exc_info=True)
    found = lines(stream)
    assert [(line["level"], line["message"], line["logger"]) for line in found] == [
        ("warning", "3 left", "some.library"),
        ("error", "failed", "some.library"),
        ("error", "failed", "some.library"),
    ]
    assert "OSError: gone" in found[1]["exception"]


def test_a_library_that_words_a_line_wrongly_does_no_harm() -> None:
    stream = configured()
    record = logging.makeLogRecord({"msg": "%d left", "args": ("three",), "levelno": logging.WARNING})
    logging.getLogger().handlers[-1].handle(record)
    assert lines(stream)[0]["message"] == "%d left"


def samples(metrics: Metrics) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(metrics.expose().decode())
        for sample in family.samples
    }


def test_what_is_counted() -> None:
    metrics = Metrics()
    metrics.event("shop", "message")
    metrics.event("shop", "message", 4)
    metrics.event("site", "typing")
    metrics.duplicate("shop", 2)
    metrics.refused(401)
    metrics.match("price")
    metrics.attempt("shop", "sent", "", 0.03)
    metrics.attempt("shop", "failed", "network", 0.03)
    metrics.committed(3, 0.004)
    metrics.acknowledged(0.004)
    metrics.replied(2.5)
    metrics.rulebook("abc")
    found = samples(metrics)
    expected = {
        ("events_total", (("account", "shop"), ("kind", "message"))): 5,
        ("events_total", (("account", "site"), ("kind", "typing"))): 1,
        ("duplicates_total", (("account", "shop"),)): 2,
        ("refused_total", (("status", "401"),)): 1,
        ("matches_total", (("rule", "price"),)): 1,
        ("attempts_total", (("account", "shop"), ("outcome", "sent"), ("reason", ""))): 1,
        ("attempts_total", (("account", "shop"), ("outcome", "failed"), ("reason", "network"))): 1,
        ("attempt_seconds_count", (("account", "shop"),)): 2,
        ("commit_batch_bucket", (("le", "2.0"),)): 0,
        ("commit_batch_bucket", (("le", "4.0"),)): 1,
        ("commit_batch_bucket", (("le", "512.0"),)): 1,
        ("commit_seconds_sum", ()): 0.004,
        ("ack_seconds_count", ()): 1,
        ("reply_seconds_sum", ()): 2.5,
        ("rulebook_info", (("version", "abc"),)): 1,
    }
    assert {(name, labels): found[f"replybridge_{name}", labels] for name, labels in expected} == expected


def test_a_new_rulebook_takes_the_place_of_the_old() -> None:
    metrics = Metrics()
    metrics.rulebook("old")
    metrics.rulebook("new")
    infos = [labels for name, labels in samples(metrics) if name == "replybridge_rulebook_info"]
    assert infos == [(("version", "new"),)]


def test_deliveries_are_counted_whenever_the_metrics_are_read() -> None:
    metrics = Metrics()
    now = [{"queued": 3}, {"queued": 0, "dead": 1}]
    metrics.watch_deliveries(lambda: now.pop(0))
    metrics.queue("store", 5)
    metrics.queue("store", 4)
    first, second = samples(metrics), samples(metrics)
    queued, dead = (("state", "queued"),), (("state", "dead"),)
    assert first["replybridge_deliveries", queued] == 3
    assert first["replybridge_queue_depth", (("queue", "store"),)] == 4
    assert (second["replybridge_deliveries", queued], second["replybridge_deliveries", dead]) == (0, 1)


def test_runs_are_counted_by_broadcast_and_state() -> None:
    metrics = Metrics()
    metrics.watch_runs(lambda: {("offer", "paused"): 1}, lambda: {("offer", "sent"): 7, ("offer", "dead"): 2})
    metrics.run_begun(1200)
    metrics.run_ended("offer", "skipped", 3)
    found = samples(metrics)

    def of(state: str) -> tuple[tuple[str, str], ...]:
        return (("broadcast", "offer"), ("state", state))

    assert found["replybridge_runs", of("paused")] == 1
    assert found["replybridge_run_recipients", of("sent")] == 7
    assert found["replybridge_run_recipients", of("dead")] == 2
    assert found["replybridge_runs_ended_total", of("skipped")] == 3
    assert found["replybridge_run_late_seconds_bucket", (("le", "900.0"),)] == 0
    assert found["replybridge_run_late_seconds_bucket", (("le", "3600.0"),)] == 1


def test_two_bridges_count_for_themselves() -> None:
    one, other = Metrics(), Metrics()
    one.match("price")
    assert b'replybridge_matches_total{rule="price"} 1.0' in one.expose()
    assert b"price" not in other.expose()


def test_a_log_that_cannot_be_written_disturbs_nobody() -> None:
    with Path("/dev/full").open("wb", buffering=0) as full:
        configure_logging("json", "info", full)
        log(delivery=7).warning("a line that is lost")
        logging.getLogger("of a library").warning("and one of a library")
    stream = configured()
    log().info("and one that is not")
    assert [line["message"] for line in lines(stream)] == ["and one that is not"]


def test_a_log_whose_reader_is_gone_disturbs_nobody() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb", buffering=0) as stream:
        configure_logging("json", "info", stream)
        log().info("a line that is lost")
