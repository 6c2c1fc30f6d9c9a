"""Rules with tests beside them, tried as `replybridge test` tries them."""

from pathlib import Path
from zoneinfo import ZoneInfo

from bridge.lab.diff import diff
from bridge.lab.play import Played, play
from bridge.lab.scenes import Scene, scenes_in
from bridge.line.accounts import Accounts
from bridge.line.decide import Behaviour
from bridge.line.render import Renderer
from bridge.platforms.registry import ADAPTERS
from bridge.rulebook.forms import Form
from bridge.rulebook.load import build, read_files
from bridge.templating import Templates

ROOT = Path(__file__).parents[2]
UTC = ZoneInfo("UTC")
SITE = ADAPTERS["webchat"].account.model_validate({"name": "site"})
SHOP = ADAPTERS["helpcrunch"].account.model_validate(
    {"name": "shop", "api_key": "k" * 20, "agent": 1, "identity": {"email": "contact.email"}}
)
CRM = ADAPTERS["webhook"].account.model_validate(
    {"name": "crm", "secrets": ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"], "call_hosts": ["crm.example"]}
)
ACCOUNTS = Accounts([SITE, SHOP, CRM], ADAPTERS)


def behaviour_of(rules: str | dict[str, bytes], templates: Templates | None = None) -> Behaviour:
    """What these rules, as text or as files, do for the accounts site (where events come from), shop and crm."""
    compiled = templates or Templates()
    files = {"rules/a.yaml": rules.encode()} if isinstance(rules, str) else rules
    rulebook, problems = build(files, compile_expression=compiled.expression)
    assert rulebook is not None, problems
    return Behaviour(rulebook=rulebook, renderer=Renderer(compiled, ACCOUNTS), accounts=ACCOUNTS)


def behaviour_in(directory: Path) -> Behaviour:
    files, problems = read_files(directory)
    assert problems == []
    return behaviour_of(files)


def scenes_of(text: str, zone: ZoneInfo = UTC) -> list[Scene]:
    scenes, problems = scenes_in({"rules/a.test.yaml": text.encode()}, zone)
    assert problems == []
    return scenes


def mistakes(text: str, zone: ZoneInfo = UTC) -> list[str]:
    """What is wrong with this file of tests, without its name."""
    _, problems = scenes_in({"rules/a.test.yaml": text.encode()}, zone)
    return [str(problem).removeprefix("rules/a.test.yaml:") for problem in problems]


def steps(rules: str | Behaviour, *steps: str, about: str = "") -> Played:
    """How a test of these steps goes, each a line of YAML; `about` are further lines of the test."""
    behaviour = behaviour_of(rules) if isinstance(rules, str) else rules
    lines = "".join(f"      - {step}\n" for step in steps)
    (scene,) = scenes_of(f"tests:\n  - name: t\n{about}    steps:\n{lines}")
    return play(scene, behaviour)


def wrong(played: Played) -> list[str]:
    """What came otherwise than expected."""
    return [] if played.failure is None else list(played.failure.wrong)


def shown(played: Played, behaviour: Behaviour) -> list[str]:
    """The lines of the diff."""
    assert played.failure is not None
    return [f"{line.mark} {line.who}: {line.text}" for line in diff(played.failure, behaviour)]


def keys(form: type[Form]) -> set[str]:
    return {field.alias or name for name, field in form.model_fields.items()}
