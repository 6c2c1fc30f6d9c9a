"""The proof that a template never misses a variable, whatever event its rule answers."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from msgspec.structs import replace

from bridge.errors import Place, Problem, RulebookError, did_you_mean
from bridge.lab.given import Given, exists, expressions_in, given_by, groups_in, nearest
from bridge.lab.sources import Sources
from bridge.model.conversation import Scope
from bridge.model.event import Kind
from bridge.model.rule import (
    Action,
    BroadcastAction,
    FollowUp,
    Forget,
    OperationAction,
    Remember,
    ReplyAction,
    Rule,
    Rulebook,
    key_place,
    numbered,
)
from bridge.rulebook.fields import nearly_own
from bridge.templating import Expression, Template, Templates

_MEMORY: Mapping[Scope, str] = {
    "conversation": "memory",
    "contact": "contact.memory",
    "account": "account_memory",
}
Finds = Callable[[str], tuple[str, ...]]
"""The facts that an operation finds, by its whole name."""


@dataclass(slots=True)
class _Missing:
    """A variable that may be missing at one place, with all that was found out about it."""

    rule: Rule
    kinds: set[Kind]


@dataclass(slots=True)
class Proof:
    """Looks at the templates of all rules. What is found at the same place for several rules is told once."""

    templates: Templates
    sources: Sources
    rulebook: Rulebook
    finds: Finds
    _remembered: frozenset[str] = field(init=False)
    _forgotten: frozenset[str] = field(init=False)
    _problems: dict[tuple[Place, str], Problem] = field(default_factory=dict)
    _missing: dict[tuple[Place, str], _Missing] = field(default_factory=dict)

    def __post_init__(self) -> None:
        actions = [action for rule in self.rulebook.rules for _, action in numbered(rule.do)]
        kept = (f"memory.{name}" for action in actions if isinstance(action, OperationAction) for name in action.keep)
        self._remembered = frozenset(kept).union(*map(_kept, actions))
        self._forgotten = frozenset[str]().union(*map(_let_go, actions))

    def problems(self) -> Iterator[Problem]:
        for rule in self.rulebook.rules:
            self._expressions(rule)
            self._actions(rule, rule.do, given_by(rule.on, rule.when))
        yield from self._problems.values()
        for (place, name), missing in self._missing.items():
            yield Problem(place=place, message=self._may_be_missing(name, missing, place))

    def _expressions(self, rule: Rule) -> None:
        """A missing variable makes `if` a no; one that no event ever has makes it a no for ever."""
        groups = groups_in(rule.when)
        for one in expressions_in(rule.when):
            if isinstance(one.evaluate, Expression):
                for name in _longest(one.evaluate.names):
                    if not exists(name, groups):
                        self._unknown(name, self.sources.find(one.evaluate.place, name), groups)

    def _actions(self, rule: Rule, actions: Sequence[Action], given: Given) -> None:
        for action in actions:
            for template, place in self._in(action):
                self._look(rule, template, place, given)
            given = replace(given, known=(given.known - _let_go(action)) | _kept(action))
            match action:
                case FollowUp(do=do):
                    # In the meantime another rule may have let go of it.
                    self._actions(rule, do, replace(given, known=given.known - self._forgotten | self._asked(rule)))
                case OperationAction(then=then):
                    found = _found(action, self.finds(action.operation))
                    self._actions(rule, then, replace(given, known=given.known - self._forgotten | found))
                case _:
                    pass

    def _asked(self, rule: Rule) -> frozenset[str]:
        """What the rule's condition has asked for, which it will ask for again."""
        return given_by(rule.on, rule.when).known

    def _in(self, action: Action) -> Iterator[tuple[Template, Place]]:
        for name, place in _files(action):
            variants = self.templates.variants(name)
            for variant in variants or (name,):
                yield from self._compiled(partial(self.templates.file, variant, place), place)
        for text, place in _texts(action):
            yield from self._compiled(partial(self.templates.inline, text, place), place)

    def _compiled(self, compile_it: Callable[[], Template], place: Place) -> Iterator[tuple[Template, Place]]:
        try:
            yield compile_it(), place
        except RulebookError as error:
            self._problems.update({((problem.place, problem.message), problem) for problem in error.problems})

    def _look(self, rule: Rule, template: Template, place: Place, given: Given) -> None:
        if not template.names:
            return
        groups = groups_in(rule.when)
        needed = dict.fromkeys(template.needs, given)
        # Where a name stands in several places, the one where least was asked for counts: that comes first.
        for holder, name in sorted(template.within):
            needed.setdefault(name, given.asked(holder))
        for name in sorted(needed.keys() | _longest(template.names)):
            sure = needed.get(name)
            if not exists(name, groups if sure else None):
                self._unknown(name, self._place(template, name, place), groups)
            elif sure and (found := sure.first_missing(name)):
                name, kinds = found
                at = self._place(template, name, place)
                self._missing.setdefault((at, name), _Missing(rule, set())).kinds.update(kinds)

    def _place(self, template: Template, name: str, place: Place) -> Place:
        where = template.where(name)
        return self.sources.find(Place(file=where[0], line=where[1], column=1) if where else place, name)

    def _unknown(self, name: str, place: Place, groups: Iterable[str]) -> None:
        first, _, rest = name.partition(".")
        if first == "match":
            near = nearest(name, (f"match.{group}" for group in groups))
            message = f'"{name}": no pattern of the rule has a group "{rest}"{near}'
        else:
            near = nearest(name) or "; templates/README.md has the names that there are"
            message = f'"{name}": no event has this{near}'
        self._problems[place, name] = Problem(place=place, message=message)

    def _may_be_missing(self, name: str, missing: _Missing, place: Place) -> str:
        rule = missing.rule
        kinds = ", ".join(sorted(missing.kinds))
        whose = "" if place.file == rule.place.file else f' of "{rule.name}" at {rule.place}'
        default = "friend" if name == "contact.name" else "..."
        asked = asked_in_when(name)
        asking = f'ask for {"it" if asked == name else asked} in "when"{whose}'
        remedy = f"give it a default, {{{{ {name} | default('{default}') }}}}, or {asking}"
        return f'"{name}" may be missing in an event of the kind {kinds}{self._meant(name)}: {remedy}'

    def _meant(self, name: str) -> str:
        if (own := nearly_own(name)) is not None and name != own:
            return f' (did you mean "{own}"?)'
        memory = next((one for one in _MEMORY.values() if name.startswith(f"{one}.")), None)
        if memory is None or any(f"{name}.".startswith(f"{one}.") for one in self._remembered):
            return ""
        kept = sorted(one.removeprefix(f"{memory}.") for one in self._remembered if one.startswith(f"{memory}."))
        return did_you_mean(name.removeprefix(f"{memory}."), kept) or ", because no rule remembers it"


def asked_in_when(name: str) -> str:
    """The field that a rule asks for, so that the variable is there."""
    return {"messages": "text", "attachment": "attachment.name"}.get(name, name)


def _longest(names: frozenset[str]) -> Iterator[str]:
    """`contact.name` without the `contact` that stands for it as well."""
    holding = {name.rpartition(".")[0] for name in names}
    return (name for name in sorted(names) if name not in holding)


def _files(action: Action) -> Iterator[tuple[str, Place]]:
    if isinstance(action, ReplyAction):
        for wording in action.wordings:
            if wording.template is not None:
                yield wording.template, wording.place


def _texts(action: Action) -> Iterator[tuple[str, Place]]:
    """Every text of an action that is a template, with its place."""
    match action:
        case ReplyAction():
            yield from ((wording.text, wording.place) for wording in action.wordings if wording.text is not None)
            for key in ("attachments", "quick_replies"):
                for number, item in enumerate(getattr(action, key)):
                    for text in (item,) if isinstance(item, str) else (item.url, item.name or ""):
                        yield text, key_place(action, f"{key}.{number}")
            if action.language is not None:
                yield action.language, key_place(action, "language")
            yield from _inside(action, "to", action.to or {})
        case OperationAction():
            yield from _inside(action, "", action.arguments)
            yield from _inside(action, "to", action.to or {})
        case Remember(place=place) | BroadcastAction(place=place):
            facts = action.facts if isinstance(action, Remember) else action.variables
            yield from ((value, place) for value in facts.values() if isinstance(value, str))


def _inside(action: ReplyAction | OperationAction, path: str, value: object) -> Iterator[tuple[str, Place]]:
    if isinstance(value, str):
        yield value, key_place(action, path)
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _inside(action, f"{path}.{key}".lstrip("."), inner)
    elif isinstance(value, list | tuple):
        for number, inner in enumerate(value):
            yield from _inside(action, f"{path}.{number}", inner)


def _kept(action: Action) -> frozenset[str]:
    if isinstance(action, Remember):
        return frozenset(f"{_MEMORY[action.scope]}.{name}" for name in action.facts)
    return frozenset()


def _let_go(action: Action) -> frozenset[str]:
    if isinstance(action, Forget):
        return frozenset(f"{_MEMORY[action.scope]}.{name}" for name in action.names)
    return frozenset()


def _found(action: OperationAction, finds: tuple[str, ...]) -> frozenset[str]:
    """What `then` can rely on: facts that the operation is known to find, and what holds them."""
    known = set[str]()
    for name, path in action.keep.items():
        if not path and finds:
            known.update([f"memory.{name}", *(f"memory.{name}.{found}" for found in finds)])
        elif path in finds:
            known.add(f"memory.{name}")
    return frozenset(known)
