"""Stopping rules as text: ``target:90% or (stable and gain:0.005/100) or budget:500``, read and written."""

from __future__ import annotations

import re
from collections.abc import Callable
from difflib import get_close_matches

from nearmiss.errors import InvalidInput
from nearmiss.loop.stopping import MOST_RULES, All, AnyOf, Budget, GainBelow, Stable, StoppingRule, Target

__all__ = ["FORMS", "STOP_WHEN", "parse_rule", "rule_text"]

#: What a rule may look like, with what it means.
FORMS = {
    "target:0.9": "accuracy is surely 90 %",
    "macro-f1:0.8": "macro-F1 is surely 0.8",
    "gain:0.005/100": "100 more labels would bring less than half a point of accuracy (surely-gain: surely less)",
    "stable": "the last three models label at most 1 % of the texts otherwise (stable:0.02/5: five models, 2 %)",
    "budget:500": "500 labels are given",
}
#: The rule where nobody set one: little is to be expected of more labels. Simulated projects lost less by it than with
#: ``stable`` besides, which comes late.
STOP_WHEN = "gain:0.005/100"
_TOKEN = re.compile(r"\s*(?:([()])|([^\s()]+))")
#: Whatever `rule_text` writes stays below both: `MOST_RULES` of them nest less deep than this, and none takes 60
#: characters with what joins it.
_DEEPEST = MOST_RULES
_LONGEST = 60 * MOST_RULES


def parse_rule(text: str) -> StoppingRule:
    """Read a rule; ``and`` binds closer than ``or``.

    Raises
    ------
    InvalidInput
        It cannot be read, or is empty: says where, and what may stand there.

    Examples
    --------
    >>> parse_rule("target:90% or stable and budget:200")
    AnyOf(rules=(Target(value=0.9, metric='accuracy'), All(rules=(Stable(share=0.01, models=3), Budget(labels=200)))))
    """
    if len(text) > _LONGEST:
        raise InvalidInput(f"a stopping rule of {len(text)} characters; keep it to {_LONGEST}")
    reader = _Reader(text)
    rule = reader.alternatives(0)
    if reader.word:
        raise reader.refusal(f"{reader.word!r} follows a whole rule; join rules by “and” or “or”")
    return rule


def rule_text(rule: StoppingRule) -> str:
    """Write a rule so that `parse_rule` reads the very same again.

    Raises
    ------
    InvalidInput
        It is, or holds, a rule that is not of this package and has no text form.

    Examples
    --------
    >>> rule_text(parse_rule("(target:90% or stable) and gain:1%"))
    '(target:0.9 or stable:0.01/3) and gain:0.01/100'
    """
    match rule:
        case Target(value, metric):
            return f"{'target' if metric == 'accuracy' else metric}:{float(value)!r}"
        case GainBelow(gain, labels, surely):
            return f"{'surely-' if surely else ''}gain:{float(gain)!r}/{labels}"
        case Stable(share, models):
            return f"stable:{float(share)!r}/{models}"
        case Budget(labels):
            return f"budget:{labels}"
        case All(rules) | AnyOf(rules):
            word = " and " if isinstance(rule, All) else " or "
            return word.join(
                f"({rule_text(each)})" if isinstance(each, All | AnyOf) else rule_text(each) for each in rules
            )
        case _:
            raise InvalidInput(f"{type(rule).__name__} has no text form")


class _Reader:
    """Reads a text word by word, one ahead."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = self._end = self._read = 0
        self.word = ""
        self._next()

    def alternatives(self, depth: int) -> StoppingRule:
        """Read rules joined by ``or``."""
        if depth > _DEEPEST:
            raise self.refusal(f"parentheses are more than {_DEEPEST} deep")
        rules = [self._together(depth)]
        while self._takes("or"):
            rules.append(self._together(depth))
        return rules[0] if len(rules) == 1 else AnyOf(tuple(rules))

    def _together(self, depth: int) -> StoppingRule:
        rules = [self._one(depth)]
        while self._takes("and"):
            rules.append(self._one(depth))
        return rules[0] if len(rules) == 1 else All(tuple(rules))

    def _one(self, depth: int) -> StoppingRule:
        if self._takes("("):
            rule = self.alternatives(depth + 1)
            if not self._takes(")"):
                raise self.refusal("a parenthesis is not closed; add “)”")
            return rule
        if not self.word or self.word.casefold() in ("and", "or", ")"):
            raise self.refusal(f"a rule is missing; write one of: {', '.join(FORMS)}")
        self._read += 1
        if self._read > MOST_RULES:
            raise self.refusal(f"this is rule {self._read}; keep to {MOST_RULES}")
        word = self.word
        name, colon, values = word.casefold().partition(":")
        if name not in _RULES:
            near = get_close_matches(name, _RULES, 1)
            meant = f"did you mean {near[0]!r}? " if near else ""
            raise self.refusal(f"there is no rule {name!r}; {meant}There are: {', '.join(FORMS)}")
        try:
            if "_" in values:
                # Python reads 0_9 as 9.
                raise ValueError(values)
            rule = _RULES[name](values.split("/") if colon else [])
        except InvalidInput as error:
            raise self.refusal(f"{word!r}: {error}") from None
        except (ValueError, IndexError, OverflowError):
            form = next(form for form in FORMS if form.startswith(name.removeprefix("surely-")))
            raise self.refusal(f"{word!r} cannot be read; write it like {form}: {FORMS[form]}") from None
        self._next()
        return rule

    def _takes(self, word: str) -> bool:
        if self.word.casefold() != word:
            return False
        self._next()
        return True

    def _next(self) -> None:
        found = _TOKEN.match(self._text, self._end)
        if found is None:
            self._at, self.word = len(self._text.rstrip()), ""
            return
        self.word = found.group(1) or found.group(2)
        self._at, self._end = found.end() - len(self.word), found.end()

    def refusal(self, why: str) -> InvalidInput:
        """Say what is wrong, and where."""
        return InvalidInput(f"stopping rule, character {self._at + 1}: {why}")


def _share(text: str) -> float:
    return float(text[:-1]) / 100 if text.endswith("%") else float(text)


def _only(values: list[str], most: int) -> list[str]:
    if len(values) > most:
        raise ValueError(values)
    return values


def _target(values: list[str]) -> StoppingRule:
    return Target(_share(_only(values, 1)[0]))


def _macro_f1(values: list[str]) -> StoppingRule:
    return Target(_share(_only(values, 1)[0]), "macro-f1")


def _gain(values: list[str], *, surely: bool = False) -> StoppingRule:
    return GainBelow(_share(_only(values, 2)[0]), int(values[1]) if len(values) == 2 else 100, surely)


def _stable(values: list[str]) -> StoppingRule:
    plain = Stable()
    share = _share(_only(values, 2)[0]) if values else plain.share
    return Stable(share, int(values[1]) if len(values) == 2 else plain.models)


def _budget(values: list[str]) -> StoppingRule:
    return Budget(int(_only(values, 1)[0]))


_RULES: dict[str, Callable[[list[str]], StoppingRule]] = {
    "target": _target,
    "macro-f1": _macro_f1,
    "gain": _gain,
    "surely-gain": lambda values: _gain(values, surely=True),
    "stable": _stable,
    "budget": _budget,
}
