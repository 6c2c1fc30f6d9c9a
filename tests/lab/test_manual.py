"""rules/README.md, the chapter on tests: every test in it passes with the rules above it; its tables are complete."""

import json
import re
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from bridge.lab.play import play, unknown_names
from bridge.lab.scene_forms import STEPS, ExpectedForm, SaidForm, SceneForm
from bridge.lab.scene_schema import scene_schema
from bridge.rulebook.yaml import read
from tests.lab.playing import ROOT, behaviour_of, keys, scenes_of, wrong

MANUAL = (ROOT / "rules" / "README.md").read_text(encoding="utf-8")
CHAPTER = MANUAL.split("\n## Tests\n", 1)[1].split("\n## ", 1)[0]
PAIRS = re.findall(r"```yaml\n(.*?)```(?:(?!```).)*```yaml test\n(.*?)```", CHAPTER, re.DOTALL)
SCHEMA = ROOT / "rules" / "tests.schema.json"
FILES = sorted([*ROOT.glob("rules/*.test.yaml"), *Path(__file__).parent.glob("*/*.test.yaml")])


def cells(heading: str) -> set[str]:
    table = CHAPTER.split(f"\n| {heading} |", 1)[1].split("\n\n", 1)[0]
    rows = table.splitlines()[2:]
    return {word.split(":")[0] for row in rows for word in re.findall(r"`([^`]+)`", row.split("|")[1])}


@pytest.mark.parametrize(("rules", "tests"), PAIRS)
def test_every_test_of_the_manual_passes(rules: str, tests: str) -> None:
    behaviour = behaviour_of(rules)
    for scene in scenes_of(tests):
        assert list(unknown_names(scene, behaviour)) == []
        assert wrong(play(scene, behaviour)) == [], scene.name


def test_there_are_as_many_as_are_marked() -> None:
    assert len(PAIRS) == CHAPTER.count("```yaml test") == 2


def test_the_tables_name_exactly_what_exists() -> None:
    assert cells("key of a test") == keys(SceneForm)
    assert cells("step") == set(STEPS)
    assert cells("key of `expect`") | {"scope"} == keys(ExpectedForm) | {"account"}
    assert cells("key of a message") == keys(SaidForm) - {"is", "contains", "starts_with", "ends_with", "matches"}


def test_the_schema_for_editors_is_that_of_this_version_and_takes_every_test() -> None:
    assert json.loads(SCHEMA.read_text(encoding="utf-8")) == scene_schema(), (
        "rules/tests.schema.json is not of this version: replybridge schema --tests > rules/tests.schema.json"
    )
    validator = Draft202012Validator(scene_schema())
    assert len(FILES) > 5
    for file in FILES:
        node = read(file.read_bytes(), file.name)
        assert node is not None
        assert [error.message for error in validator.iter_errors(node.value)] == []
    assert list(validator.iter_errors({"tests": [{"name": "x", "steps": [{"wait": "4 parsecs"}]}]}))
