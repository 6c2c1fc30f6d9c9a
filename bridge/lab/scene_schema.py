"""The JSON Schema of `*.test.yaml`, for editors."""

from bridge.lab.scene_forms import SceneFileForm
from bridge.rulebook.json_schema import DRAFT, entitled, without_nothing


def scene_schema() -> dict[str, object]:
    """The JSON Schema (draft 2020-12) of a file of tests."""
    made = without_nothing(SceneFileForm.model_json_schema())
    return {"$schema": DRAFT, "title": "Tests of a rulebook of replybridge", **entitled(made)}
