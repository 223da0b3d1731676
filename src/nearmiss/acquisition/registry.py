"""The only lookup from a strategy's name to the strategy.

A strategy is written ``name`` or ``name:option=value,option=value``: ``cal:k=5,divergence=cross-entropy``. Wrappers
stand before a name, with a hyphen, and may be nested: ``diverse-margin``, ``anchored-diverse-margin``. Options of all
of them follow: ``diverse-margin:factor=20``. An option that several have belongs to the innermost; a wrapper's is then
written with the wrapper's name before it: ``diverse-cal:normalize=true,diverse-normalize=false``.
"""

from __future__ import annotations

import types
from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass, replace
from importlib import import_module
from typing import TYPE_CHECKING, Literal, Union, cast, get_args, get_origin, get_type_hints

from nearmiss.errors import InvalidInput, UnknownName

if TYPE_CHECKING:
    from nearmiss.acquisition.base import Card, Strategy

__all__ = ["Option", "card", "make_strategy", "strategy_names", "strategy_options", "strategy_text"]

# By module, so that the names (shell completion, `--help`) are known without importing torch.
_CLASSES: Mapping[str, tuple[str, str]] = {
    "random": ("nearmiss.acquisition.random", "Random"),
    "entropy": ("nearmiss.acquisition.uncertainty", "Entropy"),
    "least-confidence": ("nearmiss.acquisition.uncertainty", "LeastConfidence"),
    "margin": ("nearmiss.acquisition.uncertainty", "Margin"),
    "bald": ("nearmiss.acquisition.uncertainty", "Bald"),
    "bertkm": ("nearmiss.acquisition.clustering", "BertKM"),
    "badge": ("nearmiss.acquisition.gradient", "Badge"),
    "alps": ("nearmiss.acquisition.clustering", "Alps"),
    "cal": ("nearmiss.acquisition.contrastive", "Cal"),
    "k-center": ("nearmiss.acquisition.clustering", "KCenterGreedy"),
    "typiclust": ("nearmiss.acquisition.clustering", "TypiClust"),
}
_SCORING = ("entropy", "least-confidence", "margin", "bald", "cal")
#: Wrappers by what stands before the name.
_WRAPPERS: Mapping[str, tuple[str, str]] = {
    "diverse-": ("nearmiss.acquisition.diverse", "DiverseBatch"),
    "balanced-": ("nearmiss.acquisition.balanced", "BalancedBatch"),
    "anchored-": ("nearmiss.acquisition.anchored", "AnchoredPool"),
    "distinct-": ("nearmiss.acquisition.distinct", "DistinctBatch"),
}
#: What each wraps: scores alone, or also whatever another wrapper chooses. In this order they nest, innermost first.
_OVER_SCORES, _OVER_ANY = ("diverse-", "balanced-"), ("anchored-", "distinct-")
#: The field of a wrapper that holds the strategy; it is written as part of the name.
_INNER = "strategy"


@dataclass(frozen=True, slots=True)
class Option:
    """One option of a strategy, as written after its name.

    Attributes
    ----------
    name
        As written: ``divergence``.
    kind
        What may be written: ``integer``, ``number``, ``text``, ``true or false``, or the choices.
    default
        As written.
    """

    name: str
    kind: str
    default: str


@dataclass(frozen=True, slots=True)
class _Slot:
    """An option and the dataclass field it fills; ``group`` is the field of a nested dataclass, as CAL's variant."""

    name: str
    field: str
    annotation: object
    default: object
    group: str | None = None


def strategy_names() -> tuple[str, ...]:
    """List every registered name, the paper's functions first.

    Examples
    --------
    >>> strategy_names()[:3]
    ('random', 'entropy', 'least-confidence')
    """
    narrow = tuple(wrapper + name for wrapper in _OVER_SCORES for name in _SCORING)
    wide = tuple(wrapper + name for wrapper in _OVER_ANY for name in (*_SCORING, "diverse-margin"))
    return (*_CLASSES, *narrow, *wide)


def make_strategy(text: str) -> Strategy:
    """Build a strategy from its text form.

    Raises
    ------
    UnknownName
        No strategy or option of that name; says which are near.
    InvalidInput
        A value that does not fit its option, or text that is not ``name:option=value,...``.

    Examples
    --------
    >>> make_strategy("cal:k=5,anchor=labeled").variant.anchor
    'labeled'
    >>> make_strategy("cal:kk=5")
    Traceback (most recent call last):
    ...
    nearmiss.errors.UnknownName: no option of cal named 'kk'; did you mean 'k'? Known: \
anchor, divergence, k, normalize, order, reduce, search
    """
    name, _, written = text.strip().partition(":")
    values = _parse(name, written)
    return _build(name, values)


def strategy_text(strategy: Strategy) -> str:
    """Write a strategy in the form that `make_strategy` reads, leaving out options at their defaults.

    Raises
    ------
    InvalidInput
        The strategy is not a registered one.

    Examples
    --------
    >>> strategy_text(make_strategy("cal:normalize=true,k=10"))
    'cal:normalize=true'
    """
    name = _name_of(strategy)
    written = _written_options(strategy, name)
    return name + (":" + ",".join(written) if written else "")


def card(name: str) -> Card:
    """Return the fidelity card of a strategy.

    Raises
    ------
    UnknownName
        No strategy of that name.

    Examples
    --------
    >>> card("diverse-margin").title
    'Diverse mini-batch over margin'
    """
    return _build(name, {}).card


def strategy_options(name: str) -> tuple[Option, ...]:
    """List the options of a strategy, in the order of their definition.

    Raises
    ------
    UnknownName
        No strategy of that name.

    Examples
    --------
    >>> strategy_options("cal")[:2]
    (Option(name='k', kind='integer', default='10'), Option(name='anchor', kind='pool or labeled', default='pool'))
    """
    return tuple(Option(slot.name, _kind(slot.annotation), _write(slot.default)) for slot in _slots(name))


def _class(name: str) -> type[Strategy]:
    if not _is_known(name):
        raise UnknownName.among("strategy", name, strategy_names())
    wrapper, _ = _split(name)
    module, attribute = _WRAPPERS[wrapper] if wrapper else _CLASSES[name]
    return cast("type[Strategy]", getattr(import_module(module), attribute))


def _split(name: str) -> tuple[str, str]:
    """Split off the outermost wrapper; it is empty where there is none."""
    wrapper = next((wrapper for wrapper in _WRAPPERS if name.startswith(wrapper)), "")
    return wrapper, name.removeprefix(wrapper)


def _is_known(name: str) -> bool:
    """Say whether a name is one: each wrapper wraps those that stand before it in their order, and never itself."""
    wrapper, inner = _split(name)
    if not wrapper:
        return name in _CLASSES
    within, _ = _split(inner)
    if wrapper in _OVER_SCORES:
        return inner in _SCORING
    ordered = list(_WRAPPERS)
    if within:
        return ordered.index(within) < ordered.index(wrapper) and _is_known(inner)
    return inner in _SCORING


def _slots(name: str) -> tuple[_Slot, ...]:
    """List what may be written after a name, a wrapper's own options first."""
    wrapper, inner = _split(name)
    return _own_slots(name) + _slots(inner) if wrapper and _is_known(name) else _slots_of(_class(name))


def _own_slots(name: str) -> tuple[_Slot, ...]:
    """List the options of the class itself; a wrapper's step aside where those inside bear the same name."""
    slots = _slots_of(_class(name))
    wrapper, inner = _split(name)
    if not wrapper:
        return slots
    taken = {slot.name for slot in _slots(inner)}
    return tuple(replace(slot, name=wrapper + slot.name) if slot.name in taken else slot for slot in slots)


def _slots_of(cls: type) -> tuple[_Slot, ...]:
    """List a class's fields as options, those of nested dataclasses in their place."""
    slots: list[_Slot] = []
    hints = get_type_hints(cls)
    for entry in fields(cls):
        annotation = hints[entry.name]
        if isinstance(annotation, type) and is_dataclass(annotation):
            nested = _default(entry)
            slots += [
                _Slot(inner.name, inner.field, inner.annotation, getattr(nested, inner.field), group=entry.name)
                for inner in _slots_of(annotation)
            ]
        elif entry.name != _INNER:
            slots.append(_Slot(entry.name.replace("_", "-"), entry.name, annotation, _default(entry)))
    return tuple(slots)


def _default(entry: Field[object]) -> object:
    if entry.default_factory is not MISSING:
        return entry.default_factory()
    return entry.default


def _parse(name: str, written: str) -> dict[str, object]:
    """Read ``option=value,...`` into typed values by option name."""
    slots = {slot.name: slot for slot in _slots(name)}
    values: dict[str, object] = {}
    for part in filter(None, (p.strip() for p in written.split(","))):
        option, equals, raw = (p.strip() for p in part.partition("="))
        option = option.replace("_", "-")
        if not equals:
            raise InvalidInput(f"cannot read {part!r} in the options of {name}; write {name}:option=value,option=value")
        if option not in slots:
            if not slots:
                raise InvalidInput(f"{name} takes no options, got {part!r}; write {name}")
            raise UnknownName.among(f"option of {name}", option, slots)
        if option in values:
            raise InvalidInput(f"{name} is given {option} twice; keep one")
        values[option] = _read(name, slots[option], raw)
    return values


def _build(name: str, values: Mapping[str, object]) -> Strategy:
    cls = _class(name)
    arguments: dict[str, object] = {}
    groups: dict[str, dict[str, object]] = {}
    for slot in _own_slots(name):
        if slot.name in values:
            target = arguments if slot.group is None else groups.setdefault(slot.group, {})
            target[slot.field] = values[slot.name]
    hints = get_type_hints(cls)
    for group, inner in groups.items():
        arguments[group] = hints[group](**inner)
    wrapper, inner_name = _split(name)
    if wrapper:
        arguments[_INNER] = _build(inner_name, values)
    return cls(**arguments)


def _name_of(strategy: object) -> str:
    cls = type(strategy)
    here = cls.__module__, cls.__qualname__
    for wrapper, known in _WRAPPERS.items():
        if here == known and _is_known(name := wrapper + _name_of(getattr(strategy, _INNER))):
            return name
    for name, known in _CLASSES.items():
        if here == known:
            return name
    raise InvalidInput(f"{cls.__name__} is not a registered strategy; registered are {', '.join(strategy_names())}")


def _written_options(strategy: object, name: str) -> list[str]:
    written = []
    for slot in _own_slots(name):
        value = getattr(strategy if slot.group is None else getattr(strategy, slot.group), slot.field)
        if value != slot.default:
            written.append(f"{slot.name}={_write(value)}")
    wrapper, inner = _split(name)
    if wrapper:
        written += _written_options(getattr(strategy, _INNER), inner)
    return written


def _alternatives(annotation: object) -> tuple[object, ...]:
    """Split ``int | None`` into its parts; anything else is its own only part."""
    return get_args(annotation) if get_origin(annotation) in (Union, types.UnionType) else (annotation,)


def _kind(annotation: object) -> str:
    names = {int: "integer", float: "number", str: "text", bool: "true or false", type(None): "none"}
    words: list[str] = []
    for part in _alternatives(annotation):
        words += (
            [str(choice) for choice in get_args(part)] if get_origin(part) is Literal else [names[cast("type", part)]]
        )
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + " or " + words[-1]


def _read(name: str, slot: _Slot, raw: str) -> object:
    for part in _alternatives(slot.annotation):
        if get_origin(part) is Literal:
            for choice in get_args(part):
                if raw == str(choice):
                    return cast("object", choice)
        elif part is bool and raw.lower() in ("true", "false"):
            return raw.lower() == "true"
        elif part is type(None) and raw.lower() == "none":
            return None
        elif part in (int, float):
            try:
                return cast("type", part)(raw)
            except ValueError:
                continue
        elif part is str:
            return raw
    raise InvalidInput(
        f"{slot.name} of {name} is {raw!r}, expected {_kind(slot.annotation)}, e.g. {_write(slot.default)}"
    )


def _write(value: object) -> str:
    if value is None or isinstance(value, bool):
        return str(value).lower()
    return str(value)
