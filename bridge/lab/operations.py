"""What rules have platforms do, held against what each platform offers: operation, account, arguments, answer."""

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from bridge.adapter.account import Options
from bridge.adapter.protocol import Adapter, Operation
from bridge.errors import Place, Problem, did_you_mean
from bridge.lab.dry_run import refusal_of_operation
from bridge.lab.whom import asking, check_to, no_account
from bridge.line.accounts import Accounts, Known
from bridge.model.event import NOWHERE, Address
from bridge.model.rule import OperationAction, Rule, key_place
from bridge.rulebook.yaml import shown

Platforms = Mapping[str, Adapter[Any]]


def find_operation(name: str, platforms: Platforms) -> Operation[Any] | None:
    """The operation of that whole name: "helpcrunch.assign"."""
    platform, _, operation = name.partition(".")
    adapter = platforms.get(platform)
    return None if adapter is None else adapter.operations.get(operation)


def check_operation(action: OperationAction, rule: Rule, accounts: Accounts) -> Iterator[Problem]:
    """Everything about an operation that can be told before there is an event."""
    operation = find_operation(action.operation, accounts.adapters)
    if operation is None:
        yield Problem(place=action.place, message=_unknown(action, accounts.adapters))
        return
    doing = list(_doing(action, rule, accounts))
    yield from (problem for problem in doing if isinstance(problem, Problem))
    for known in [known for known in doing if isinstance(known, Known)][:1]:
        unknown = list(check_to(action, action.to, known))
        yield from unknown
        to = _certain_address(action, rule, known, accounts)
        if to is not None and not unknown and (why := refusal_of_operation(action, operation, to, known)) is not None:
            yield Problem(place=action.place, message=f"{action.operation}: {why}")
    if operation.of_event is not None:
        yield from _events_of_others(action, rule, accounts)
    yield from _arguments(action, operation)
    yield from _answer(action, operation)


def _certain_address(action: OperationAction, rule: Rule, known: Known, accounts: Accounts) -> Address | None:
    """Whom it is for, where no event has a say in it; nobody, where there is neither `to` nor an identity."""
    if action.to is not None:
        return action.to
    by_event = known.account.identity or any(own.adapter.name == action.platform for own in asking(rule, accounts))
    return None if by_event else NOWHERE


def _events_of_others(action: OperationAction, rule: Rule, accounts: Accounts) -> Iterator[Problem]:
    """An operation that is about the event itself knows only those of its own platform."""
    for own in asking(rule, accounts):
        if own.adapter.name != action.platform:
            message = (
                f"{action.operation} takes events of {action.platform} only, and {own.account.name} is on "
                f'{own.adapter.name}: name the accounts that it is for with "account"'
            )
            yield Problem(place=action.place, message=message)
            return


def _unknown(action: OperationAction, platforms: Platforms) -> str:
    adapter = platforms.get(action.platform)
    every = [f"{name}.{operation}" for name, one in platforms.items() for operation in one.operations]
    if adapter is None:
        near = did_you_mean(action.operation, every) or did_you_mean(action.platform, list(platforms))
        return f'"{action.operation}": there is no platform "{action.platform}"{near}'
    own = [one for one in every if one.startswith(f"{adapter.name}.")]
    near = did_you_mean(action.operation, own)
    known = f"; known: {', '.join(adapter.operations)}" if own and not near else "" if own else "; it has none"
    return f'{adapter.name} has no operation "{action.name}"{near}{known}'


def _doing(action: OperationAction, rule: Rule, accounts: Accounts) -> Iterator[Known | Problem]:
    """The account that does it, or why that cannot be told; as it is found for an event."""
    if action.via is not None:
        known, place = accounts.get(action.via), key_place(action, "via")
        if known is None:
            yield no_account(place, "via", action.via, accounts)
        elif known.adapter.name != action.platform:
            message = f'"via: {action.via}" is an account of {known.adapter.name}, and {action.operation} needs another'
            yield Problem(place=place, message=message)
        else:
            yield known
        return
    able = accounts.of_platform(action.platform)
    strangers = [own for own in asking(rule, accounts) if own.adapter.name != action.platform]
    if not able:
        message = f"{action.operation}: the settings have no account of {action.platform}; add one to [accounts]"
        yield Problem(place=action.place, message=message)
    elif len(able) > 1 and strangers:
        names = ", ".join(known.account.name for known in able)
        message = (
            f"{action.operation}: for an event of {strangers[0].account.name} it cannot be told which account does it:"
            f' say which with "via" (one of {names})'
        )
        yield Problem(place=action.place, message=message)
    else:
        yield able[0]


def _arguments(action: OperationAction, operation: Operation[Any]) -> Iterator[Problem]:
    """What is wrong with arguments as far as they are no templates, whose values nobody knows yet."""
    try:
        operation.arguments.model_validate(dict(action.arguments))
    except ValidationError as error:
        told = set[Place]()
        details = error.errors(include_url=False)
        paths = [_at(action.arguments, detail["loc"])[0] for detail in details]
        for detail, path in zip(details, paths, strict=True):
            if detail["type"] != "missing" and any(path == other[: len(path)] != other for other in paths):
                # Another branch of a union went deeper, and knows better what is wrong.
                continue
            if (problem := _mistake(action, operation, detail)) is not None and problem.place not in told:
                told.add(problem.place)
                yield problem


def _mistake(action: OperationAction, operation: Operation[Any], detail: ErrorDetails) -> Problem | None:
    kind, loc = detail["type"], detail["loc"]
    path, value = _at(action.arguments, loc)
    where = ".".join(map(str, path))
    place = key_place(action, where)
    if kind == "missing":
        if operation.of_event is not None and len(loc) == 1:
            return None
        return Problem(place=place, message=f'{action.operation} needs "{loc[-1]}"{_about(operation)}')
    if kind == "extra_forbidden":
        known = _known(operation.arguments)
        near = did_you_mean(str(loc[-1]), known)
        others = f"; known: {', '.join(known)}" if known else "; it takes none"
        return Problem(place=place, message=f'{action.operation} knows no "{loc[-1]}"{near or others}')
    if _has_template(value):
        return None
    plain = f"{detail['msg'].replace('Input should', 'must', 1)}; not {shown(value)}"
    said = "must not be empty" if kind == "too_short" else detail.get("ctx", {}).get("error") or plain
    return Problem(place=place, message=f"{action.operation}: {where or 'its arguments'}: {said}")


def _at(arguments: object, loc: tuple[str | int, ...]) -> tuple[list[str | int], object]:
    """How far pydantic's path goes into what was given, which also names branches of unions, and what stands there."""
    path: list[str | int] = []
    value = arguments
    for part in loc:
        inside = dict(enumerate(value)) if isinstance(value, list | tuple) else value
        if isinstance(inside, Mapping) and part in inside:
            value = inside[part]
            path.append(part)
    return path, value


def _has_template(value: object) -> bool:
    if isinstance(value, str):
        return "{{" in value or "{%" in value
    inner = value.values() if isinstance(value, Mapping) else value if isinstance(value, list | tuple) else ()
    return any(map(_has_template, inner))


def _known(arguments: type[Options]) -> list[str]:
    return [field.alias or name for name, field in arguments.model_fields.items()]


def _about(operation: Operation[Any]) -> str:
    needed = [field.alias or name for name, field in operation.arguments.model_fields.items() if field.is_required()]
    return f" (it needs {', '.join(needed)})" if len(needed) > 1 else ""


def _answer(action: OperationAction, operation: Operation[Any]) -> Iterator[Problem]:
    """What of the answer is remembered has to be in it."""
    for name, path in action.keep.items():
        place = key_place(action, f"remember.{name}")
        if not operation.finds:
            message = f"{action.operation} looks nothing up, so that there is nothing to remember: remove it"
            yield Problem(place=place, message=message)
        elif path and (first := path.partition(".")[0]) not in operation.finds:
            near = did_you_mean(first, operation.finds) or f"; it finds {', '.join(operation.finds)}"
            yield Problem(place=place, message=f'{action.operation} does not find "{first}"{near}')
