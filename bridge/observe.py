"""What an operator sees of a running bridge: structured logs and metrics.

Logs go to one stream, those of the libraries too (from `warning` on). The time in a line is the machine's own,
because a log tells when it was written, whatever clock the bridge is run by.
"""

import json
import logging
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, BinaryIO, Generic, Literal, TypeVar

import orjson
import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, ProcessCollector, generate_latest
from prometheus_client.core import GaugeMetricFamily
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
        logger_factory=structlog.BytesLoggerFactory(stream),
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
) -> FilteringBoundLogger:
    """A logger whose lines carry these ids: `log(delivery=7).info("sent", took=0.2)`."""
    ids = {"_event": event, "conversation": conversation, "delivery": delivery, "account": account}
    logger: FilteringBoundLogger = structlog.get_logger()
    return logger.bind(**{name: value for name, value in ids.items() if value is not None})


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


Child = TypeVar("Child")


class _Children(dict[tuple[str, ...], Child], Generic[Child]):
    """The children of a metric by their labels: prometheus_client looks each up under a lock, this in a dict."""

    def __init__(self, make: Callable[..., Child]) -> None:
        super().__init__()
        self._make = make

    def __missing__(self, labels: tuple[str, ...]) -> Child:
        child = self[labels] = self._make(*labels)
        return child


class _DeliveriesByState(Collector):
    def __init__(self, count: Callable[[], Mapping[str, int]]) -> None:
        self._count = count

    def collect(self) -> Iterator[GaugeMetricFamily]:
        gauge = GaugeMetricFamily("replybridge_deliveries", "Deliveries kept", labels=["state"])
        for state, number in self._count().items():
            gauge.add_metric([state], number)
        yield gauge


class Metrics:
    """What the bridge counts, in a registry of its own. Every method is cheap and may be called in any thread.

    Labels are only ever names from the settings, the rulebook and closed lists, never anything a customer wrote.
    Durations are in seconds.
    """

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)

        def counter(name: str, about: str, *labels: str) -> _Children[Counter]:
            return _Children(Counter(f"replybridge_{name}", about, labels, registry=registry).labels)

        def seconds(name: str, about: str, buckets: Sequence[float], *labels: str) -> Histogram:
            return Histogram(f"replybridge_{name}_seconds", about, labels, registry=registry, buckets=buckets)

        self._events = counter("events_total", "Events taken in", "account", "kind")
        self._duplicates = counter("duplicates_total", "Events that had been taken in before", "account")
        self._refused = counter("refused_total", "Webhooks turned away", "status")
        self._matches = counter("matches_total", "Times a rule said yes", "rule")
        self._attempts = counter("attempts_total", "Tries at deliveries", "account", "outcome", "reason")
        depth = Gauge("replybridge_queue_depth", "What waits in memory", ["queue"], registry=registry)
        self._queues = _Children(depth.labels)
        self._commit_batch = Histogram(
            "replybridge_commit_batch", "Items in one transaction", registry=registry, buckets=[2**n for n in range(10)]
        )
        self._commit = seconds("commit", "One transaction", _FAST)
        self._ack = seconds("ack", "Webhook received to its answer", _FAST)
        self._reply = seconds("reply", "Webhook received to its reply delivered", _SLOW)
        self._attempt = _Children(seconds("attempt", "One try at a delivery", _SLOW, "account").labels)
        self._rulebook = Info("replybridge_rulebook", "The rulebook in force", registry=registry)

    def event(self, account: str, kind: str, count: int = 1) -> None:
        self._events[account, kind].inc(count)

    def duplicate(self, account: str, count: int = 1) -> None:
        self._duplicates[account,].inc(count)

    def refused(self, status: int) -> None:
        """A webhook was answered with this HTTP status."""
        self._refused[str(status),].inc()

    def match(self, rule: str, count: int = 1) -> None:
        self._matches[rule,].inc(count)

    def attempt(self, account: str, outcome: str, reason: str, took: float) -> None:
        """One try at a delivery; `outcome` is sent, failed or unknown, `reason` "" when it was sent."""
        self._attempts[account, outcome, reason].inc()
        self._attempt[account,].observe(took)

    def committed(self, batch: int, seconds: float) -> None:
        """One transaction of `batch` items."""
        self._commit_batch.observe(batch)
        self._commit.observe(seconds)

    def acknowledged(self, seconds: float) -> None:
        self._ack.observe(seconds)

    def replied(self, seconds: float) -> None:
        """A reply was delivered this long after its webhook."""
        self._reply.observe(seconds)

    def queue(self, name: str, depth: int) -> None:
        """This many wait in memory in the queue of that name."""
        self._queues[name,].set(depth)

    def rulebook(self, version: str) -> None:
        self._rulebook.info({"version": version})

    def watch_deliveries(self, count: Callable[[], Mapping[str, int]]) -> None:
        """Ask `count` for the deliveries by state whenever the metrics are read, in that thread. Called once."""
        self._registry.register(_DeliveriesByState(count))

    def expose(self) -> bytes:
        """All metrics as Prometheus reads them (`METRICS_CONTENT_TYPE`)."""
        text: bytes = generate_latest(self._registry)
        return text


_FAST = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 5.0)
_SLOW = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 15.0, 60.0, 300.0, 3600.0)
