"""What an operator sees of a running bridge: structured logs and metrics.

Logs go to one stream, those of the libraries too (from `warning` on). The time in a line is the machine's own,
because a log tells when it was written, whatever clock the bridge is run by.
"""

import json
import logging
import re
import sys
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from itertools import accumulate
from typing import Any, BinaryIO, Literal, cast

import orjson
import structlog
from prometheus_client import CollectorRegistry, Gauge, Info, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector
from structlog.typing import EventDict, FilteringBoundLogger, Processor, WrappedLogger

Format = Literal["auto", "console", "json"]
Level = Literal["debug", "info", "warning", "error"]

METRICS_CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_SECRET = re.compile(r"api[_-]?key|password|token|secret|authorization|cookie", re.IGNORECASE)
_DEEPEST = 6
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
_CONTROL_BUT_LINES = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")


@lru_cache(maxsize=1024)
def looks_secret(name: str) -> bool:
    """Whether a value of this name should never be printed: api_key, X-Auth-Token, Authorization..."""
    return _SECRET.search(name) is not None


def configure_logging(format: Format = "auto", level: Level = "info", stream: BinaryIO | None = None) -> None:  # noqa: A002 - the setting's name
    """Send all logs to `stream` (standard error), as JSON lines or, on a terminal, for a person to read."""
    stream = stream or sys.stderr.buffer
    number = logging.getLevelNamesMapping()[level.upper()]
    readable = format == "console" or (format == "auto" and stream.isatty())
    structlog.configure(
        processors=[*_PREPARE, *(_for_people(stream.isatty()) if readable else _FOR_MACHINES)],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.BytesLoggerFactory(cast("BinaryIO", _Unfailing(stream))),
        # A cached logger would go on writing to the stream of an earlier call.
        cache_logger_on_first_use=False,
    )
    root = logging.getLogger()
    for handler in root.handlers[:]:
        if isinstance(handler, _Forward):
            root.removeHandler(handler)
    root.addHandler(_Forward(max(number, logging.WARNING)))


def log(
    *,
    event: int | None = None,
    conversation: str | None = None,
    delivery: int | None = None,
    account: str | None = None,
    run: int | None = None,
) -> FilteringBoundLogger:
    """A logger whose lines carry these ids: `log(delivery=7).info("sent", took=0.2)`."""
    ids = {"_event": event, "conversation": conversation, "delivery": delivery, "account": account, "run": run}
    logger: FilteringBoundLogger = structlog.get_logger()
    return logger.bind(**{name: value for name, value in ids.items() if value is not None})


class _Unfailing:
    """A stream on which a line is lost, where it cannot be written: the disk of the log is full, or who read it is
    gone. Whoever logs is in the middle of something that must be finished all the same."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def write(self, line: bytes) -> None:
        with suppress(OSError):
            self._stream.write(line)

    def flush(self) -> None:
        with suppress(OSError):
            self._stream.flush()


class _Forward(logging.Handler):
    """Hands the lines of libraries that use `logging` to structlog, so that there is one output in one form."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            message = record.getMessage()
        except (TypeError, ValueError, KeyError):
            message = str(record.msg)
        log().log(record.levelno, message, logger=record.name, exc_info=record.exc_info)


def _hide_secrets(_: WrappedLogger, __: str, line: EventDict) -> EventDict:
    return {name: "<secret>" if looks_secret(name) else _hidden(value, _DEEPEST) for name, value in line.items()}


def _hidden(value: object, depth: int) -> object:
    """`value` without the secrets inside it; what lies deeper than a log should go is left out."""
    if not isinstance(value, Mapping | list | tuple) or isinstance(value, str):
        return value
    if not depth:
        return "..."
    if isinstance(value, Mapping):
        return {
            str(name): "<secret>" if looks_secret(str(name)) else _hidden(inner, depth - 1)
            for name, inner in value.items()
        }
    return [_hidden(inner, depth - 1) for inner in value]


def _dumps(line: EventDict, default: Callable[[object], object]) -> bytes:
    try:
        return orjson.dumps(line, default=default)
    except orjson.JSONEncodeError:
        # A number above 64 bits or a text that is no Unicode: rare, and still worth a line.
        return json.dumps(line, default=repr).encode()


def _printable(_: WrappedLogger, __: str, line: EventDict) -> EventDict:
    """Nobody's text may move the cursor of a terminal or forge a line; only a traceback has several lines."""
    for name, value in line.items():
        if isinstance(value, str):
            control = _CONTROL_BUT_LINES if name == "exception" else _CONTROL
            line[name] = control.sub(lambda found: repr(found[0])[1:-1], value)
    return line


def _encode(_: WrappedLogger, __: str, line: Any) -> bytes:
    return str(line).encode("utf-8", "backslashreplace")


_PREPARE: Sequence[Processor] = (
    structlog.contextvars.merge_contextvars,
    structlog.processors.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    # Before any renderer, because a renderer's own traceback shows local variables, and with them secrets.
    structlog.processors.format_exc_info,
    # structlog calls the message "event"; with us that word is taken, for the number of an event.
    structlog.processors.EventRenamer("message", "_event"),
    _hide_secrets,
)
_FOR_MACHINES: Sequence[Processor] = (structlog.processors.JSONRenderer(serializer=_dumps),)


def _for_people(colors: bool) -> Sequence[Processor]:
    return (_printable, structlog.dev.ConsoleRenderer(colors=colors, event_key="message"), _encode)


class _Counter(Collector):
    """How often things happened, by labels. A plain dictionary, as each counter has one thread that counts:
    prometheus_client's own take a lock and three calls for it, and every event is counted several times."""

    def __init__(self, name: str, about: str, labels: Sequence[str]) -> None:
        self._family = f"replybridge_{name}", about, labels
        self._counts: dict[tuple[str, ...], int] = {} if labels else {(): 0}

    def count(self, *labels: str, by: int = 1) -> None:
        self._counts[labels] = self._counts.get(labels, 0) + by

    def collect(self) -> Iterator[CounterMetricFamily]:
        name, about, labels = self._family
        family = CounterMetricFamily(name, about, labels=labels)
        for values, count in tuple(self._counts.items()):
            family.add_metric(values, count)
        yield family


class _Histogram(Collector):
    """How values are spread over buckets, by labels; like `_Counter` it has one thread that observes."""

    def __init__(self, name: str, about: str, bounds: Sequence[float], labels: Sequence[str] = ()) -> None:
        self._family = f"replybridge_{name}", about, labels
        self._bounds = bounds
        self._found: dict[tuple[str, ...], list[int]] = {}
        self._sums: dict[tuple[str, ...], float] = {}
        if not labels:
            self._begin(())

    def _begin(self, labels: tuple[str, ...]) -> None:
        self._found[labels] = [0] * (len(self._bounds) + 1)
        self._sums[labels] = 0.0

    def observe(self, value: float, *labels: str) -> None:
        if labels not in self._found:
            self._begin(labels)
        self._found[labels][bisect_left(self._bounds, value)] += 1
        self._sums[labels] += value

    def collect(self) -> Iterator[HistogramMetricFamily]:
        name, about, labels = self._family
        family = HistogramMetricFamily(name, about, labels=labels)
        bounds = [*(str(float(bound)) for bound in self._bounds), "+Inf"]
        for values, found in tuple(self._found.items()):
            family.add_metric(values, tuple(zip(bounds, accumulate(found), strict=True)), self._sums[values])
        yield family


class _Watched(Collector):
    """What is counted whenever the metrics are read, by labels."""

    def __init__(self, name: str, about: str, labels: Sequence[str], count: Callable[[], Mapping[Any, int]]) -> None:
        self._family = f"replybridge_{name}", about, labels
        self._count = count

    def collect(self) -> Iterator[GaugeMetricFamily]:
        name, about, labels = self._family
        gauge = GaugeMetricFamily(name, about, labels=labels)
        for values, number in self._count().items():
            gauge.add_metric([values] if isinstance(values, str) else values, number)
        yield gauge


class Metrics:
    """What the bridge counts, in a registry of its own. Every method is cheap.

    `committed` is for the thread that writes, all others are for the event loop's. Labels are only ever names from the
    settings, the rulebook and closed lists, never anything a customer wrote. Durations are in seconds.
    """

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)

        def counter(name: str, about: str, *labels: str) -> _Counter:
            made = _Counter(name, about, labels)
            registry.register(made)
            return made

        def histogram(name: str, about: str, bounds: Sequence[float], *labels: str) -> _Histogram:
            made = _Histogram(name, about, bounds, labels)
            registry.register(made)
            return made

        self._events = counter("events", "Events taken in", "account", "kind")
        self._duplicates = counter("duplicates", "Events that had been taken in before", "account")
        self._refused = counter("refused", "Webhooks turned away", "status")
        self._matches = counter("matches", "Times a rule said yes", "rule")
        self._held_back = counter("held_back", "Replies that restraint kept back")
        self._attempts = counter("attempts", "Tries at deliveries", "account", "outcome", "reason")
        self._circuits = Gauge(
            "replybridge_circuit_open", "Whether an account is left alone now", ["account"], registry=registry
        )
        self._queues = Gauge("replybridge_queue_depth", "What waits in memory", ["queue"], registry=registry)
        self._commit_batch = histogram("commit_batch", "Items in one transaction", [2**n for n in range(10)])
        self._commit = histogram("commit_seconds", "One transaction", _FAST)
        self._ack = histogram("ack_seconds", "Webhook received to its answer", _FAST)
        self._reply = histogram("reply_seconds", "Webhook received to its reply delivered", _SLOW)
        self._attempt = histogram("attempt_seconds", "One try at a delivery", _SLOW, "account")
        self._runs_ended = counter("runs_ended", "Runs of broadcasts that are over", "broadcast", "state")
        self._run_late = histogram("run_late_seconds", "Time of a run to its beginning", _LATE)
        self._rulebook = Info("replybridge_rulebook", "The rulebook in force", registry=registry)
        self._reloads = counter("rulebook_reloads", "Edits of the rulebook that were looked at", "outcome")
        self._broken = Gauge(
            "replybridge_rulebook_broken", "Whether the last edit was refused and an older one runs", registry=registry
        )

    def event(self, account: str, kind: str, count: int = 1) -> None:
        self._events.count(account, kind, by=count)

    def duplicate(self, account: str, count: int = 1) -> None:
        self._duplicates.count(account, by=count)

    def refused(self, status: int) -> None:
        """A webhook was answered with this HTTP status."""
        self._refused.count(str(status))

    def match(self, rule: str, count: int = 1) -> None:
        self._matches.count(rule, by=count)

    def held_back(self, count: int) -> None:
        """So many replies were kept back: the loop breaker, or the same text twice."""
        self._held_back.count(by=count)

    def attempt(self, account: str, outcome: str, reason: str, took: float) -> None:
        """One try at a delivery; `outcome` is sent, failed or unknown, `reason` "" when it was sent."""
        self._attempts.count(account, outcome, reason)
        self._attempt.observe(took, account)

    def circuit(self, account: str, *, is_open: bool) -> None:
        """An account is left alone from now on, because its platform does not answer, or no longer."""
        self._circuits.labels(account).set(int(is_open))

    def committed(self, batch: int, seconds: float) -> None:
        """One transaction of `batch` items."""
        self._commit_batch.observe(batch)
        self._commit.observe(seconds)

    def acknowledged(self, seconds: float) -> None:
        self._ack.observe(seconds)

    def replied(self, seconds: float) -> None:
        """A reply was delivered this long after its webhook."""
        self._reply.observe(seconds)

    def run_begun(self, late: float) -> None:
        """A run of a broadcast began this long after its time."""
        self._run_late.observe(late)

    def run_ended(self, broadcast: str, state: Literal["done", "failed", "skipped"], count: int = 1) -> None:
        """So many runs of a broadcast are over. Those that a person cancels are not the server's to count."""
        self._runs_ended.count(broadcast, state, by=count)

    def queue(self, name: str, depth: int) -> None:
        """This many wait in memory in the queue of that name."""
        self._queues.labels(name).set(depth)

    def rulebook(self, version: str, *, broken: bool = False) -> None:
        """This one is in force; with `broken` because what the folders hold was refused."""
        self._rulebook.info({"version": version})
        self._broken.set(int(broken))

    def reloaded(self, outcome: Literal["taken", "refused"]) -> None:
        """An edit of the rulebook came to this."""
        self._reloads.count(outcome)

    def watch_deliveries(self, count: Callable[[], Mapping[str, int]]) -> None:
        """Ask `count` for the deliveries by state whenever the metrics are read, in that thread. Called once."""
        self._registry.register(_Watched("deliveries", "Deliveries kept", ["state"], count))

    def watch_runs(
        self,
        runs: Callable[[], Mapping[tuple[str, str], int]],
        recipients: Callable[[], Mapping[tuple[str, str], int]],
    ) -> None:
        """The same for the runs that are not over, and their recipients: (broadcast, state) -> count. Called once."""
        labels = ["broadcast", "state"]
        self._registry.register(_Watched("runs", "Runs of broadcasts that are not over", labels, runs))
        self._registry.register(_Watched("run_recipients", "Recipients of these runs", labels, recipients))

    def expose(self) -> bytes:
        """All metrics as Prometheus reads them (`METRICS_CONTENT_TYPE`)."""
        text: bytes = generate_latest(self._registry)
        return text


_FAST = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 5.0)
_LATE = (1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 21600.0, 86400.0)
_SLOW = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 15.0, 60.0, 300.0, 3600.0)
