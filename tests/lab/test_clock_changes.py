"""Cooldowns, follow-ups and opening hours across the clock changes: the tests beside `clock_changes/rules.yaml`."""

from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from bridge.lab.play import play
from bridge.lab.scenes import Scene, read_scenes
from bridge.lab.tests import failures, report
from tests.lab.playing import behaviour_in

HERE = Path(__file__).parent / "clock_changes"
BEHAVIOUR = behaviour_in(HERE)
SCENES, PROBLEMS = read_scenes(HERE, ZoneInfo("UTC"))
ZONES = ("berlin", "new york", "lord howe", "kyiv")


@pytest.mark.parametrize("scene", SCENES, ids=[scene.name for scene in SCENES])
def test_time_goes_on_as_it_should(scene: Scene) -> None:
    assert failures(play(scene, BEHAVIOUR)) == []


def test_every_zone_and_both_changes_are_among_them() -> None:
    assert PROBLEMS == []
    for zone in ZONES:
        for change in ("forward", "back"):
            for what in ("cooldown", "follow-up", "opens"):
                assert [s for s in SCENES if s.name.startswith(f"{zone}, clock {change}") and what in s.name]
    assert report(SCENES, BEHAVIOUR, ZoneInfo("UTC")).unfired == ()
