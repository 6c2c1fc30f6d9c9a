"""The reloader: edits of rules and templates go live by themselves, if the gate says that all is well with them."""

import asyncio
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import Protocol

from bridge.clock import Clock
from bridge.errors import Problem, RulebookError
from bridge.lab.gate import Passed
from bridge.line.decide import Behaviour
from bridge.observe import Metrics, log
from bridge.reload.asked import Asked, Came, Status
from bridge.reload.examine import Examined, Examiner
from bridge.reload.folders import NOTHING, Look, Sources
from bridge.reload.kept import Kept

BEAT = 0.5
"""Seconds between two looks. Files that lie there alike twice are not being written any more."""

LOOKS_COST = 100
"""After a look, nothing is looked at for so many times as long as it took: one percent of a core at most."""

MOST_LOGGED = 10


class Behaves(Protocol):
    """What answers customers; it reads `behaviour` once for each batch of events."""

    behaviour: Behaviour


class Reloader:
    """Reads and writes files in a thread, one thing at a time. Without `watch` it looks only when it is asked."""

    def __init__(
        self, *, examiner: Examiner, kept: Kept, asked: Asked, clock: Clock, metrics: Metrics, watch: bool
    ) -> None:
        self._examiner = examiner
        self._kept = kept
        self._asked = asked
        self._clock = clock
        self._metrics = metrics
        self._watch = watch
        self._is_asked = False
        self._examined: Look = {}
        self._glimpsed: Look = {}
        self._running = NOTHING
        self._refused: str | None = None
        self._beat = BEAT

    @property
    def broken(self) -> bool:
        """Whether the folders hold something that was refused, so that the last good rulebook runs in its place."""
        return self._refused is not None

    def ask(self) -> None:
        """Look at the folders at the next beat, whether or not they seem to have changed."""
        self._is_asked = True

    def begin(self) -> Behaviour:
        """What to answer by from the start: the folders, or else the last good rulebook.

        Raises RulebookError: something is wrong with the folders, and there is no last good one that can be used.
        """
        kept = list(self._kept.newest())
        had_rules = any(sources.has_rules for sources, _ in kept[:1])
        examined = self._examiner.examine(self._examiner.read(had_rules=had_rules), had_rules=had_rules)
        self._examined = examined.look
        if examined.passed is not None:
            return self._take(examined.passed, examined.sources)
        for sources, folders in kept:
            try:
                passed = self._examiner.gate.readmit(folders.rules, folders.templates)
            except RulebookError as error:
                said = _said(error.problems)
                log().error("a kept rulebook cannot be used any more", version=sources.version, problems=said)
                continue
            behaviour = self._take(passed, sources)
            self._refuse(examined)
            return behaviour
        raise RulebookError(examined.problems)

    async def run(self, line: Behaves) -> None:
        """Look after the folders for ever, and change the behaviour of `line` with them."""
        with ExitStack() as stack:
            try:
                stack.enter_context(self._asked.serving())
            except OSError as error:
                log().error("`replybridge reload` will not find this server", file=error.filename, error=error.strerror)
            await self._keep()
            before = ""
            while True:
                await self._clock.sleep(self._beat)
                (failed,) = await asyncio.gather(self._look(line), return_exceptions=True)
                if isinstance(failed, Exception) and repr(failed) != before:
                    # Whatever it is, the next edit may be better, and customers are answered as before.
                    log().error("cannot look after the rules", exc_info=failed)
                before = "" if failed is None else repr(failed)

    async def _look(self, line: Behaves) -> None:
        began = self._clock.monotonic()
        token = await asyncio.to_thread(self._asked.take)
        changed = self._watch and await self._has_changed()
        self._beat = max(BEAT, LOOKS_COST * (self._clock.monotonic() - began))
        if changed or self._is_asked or token is not None:
            await self._reload(line, token)

    async def _has_changed(self) -> bool:
        """Whether there is something new that has been left in peace since the last look."""
        before, self._glimpsed = self._glimpsed, await asyncio.to_thread(self._examiner.folders.look)
        return self._examined != self._glimpsed == before

    async def _reload(self, line: Behaves, token: str | None) -> None:
        """Take up what the folders hold, if it may go live. With a token somebody waits for the answer."""
        asked, self._is_asked = self._is_asked or token is not None, False
        had_rules = self._running.has_rules
        read = await asyncio.to_thread(self._examiner.read, had_rules=had_rules)
        self._examined = read.look
        if read.version == self._running.version and not self.broken:
            return await self._answer(line, "unchanged", token)
        if read.readable and read.version == self._refused and not asked:
            return None
        examined = await asyncio.to_thread(self._examiner.examine, read, had_rules=had_rules)
        self._examined = examined.look
        if examined.passed is None:
            self._refuse(examined)
            self._metrics.reloaded("refused")
            return await self._answer(line, "refused", token, examined.problems)
        line.behaviour = self._take(examined.passed, examined.sources)
        self._metrics.reloaded("taken")
        rules, warnings = len(line.behaviour.rulebook.rules), examined.passed.warnings
        log().info("rulebook taken up", version=examined.version, rules=rules, warnings=len(warnings))
        await self._keep()
        return await self._answer(line, "taken", token, warnings)

    def _take(self, passed: Passed, sources: Sources) -> Behaviour:
        """What has passed runs from now on. Its version is that of all its files, templates too."""
        self._running, self._refused = sources, None
        self._metrics.rulebook(sources.version, broken=False)
        behaviour = passed.behaviour
        return replace(behaviour, rulebook=replace(behaviour.rulebook, version=sources.version))

    def _refuse(self, examined: Examined) -> None:
        self._refused = examined.version
        self._metrics.rulebook(self._running.version, broken=True)
        log().error(
            "rulebook refused, the last good one is used",
            version=self._running.version,
            refused=self._refused,
            problems=_said(examined.problems),
        )

    async def _keep(self) -> None:
        """For a restart. What cannot be kept runs all the same."""
        try:
            await asyncio.to_thread(self._kept.keep, self._running)
        except OSError as error:
            why = {"file": error.filename, "error": error.strerror}
            log().error("the rulebook runs, but cannot be kept for a restart", version=self._running.version, **why)

    async def _answer(self, line: Behaves, came: Came, token: str | None, problems: Sequence[Problem] = ()) -> None:
        if token is None:
            return
        rulebook = line.behaviour.rulebook
        status = Status(
            answers=token, came=came, running=rulebook.version, rules=len(rulebook.rules), problems=tuple(problems)
        )
        await asyncio.to_thread(self._asked.answer, status)


def _said(problems: Sequence[Problem]) -> list[str]:
    """The first of them, as a log line can hold them; `replybridge check` shows all."""
    more = len(problems) - MOST_LOGGED
    return [*map(str, problems[:MOST_LOGGED]), *([f"and {more} more"] if more > 0 else [])]
