"""Reads a grammar in EBNF, and says whether words are a sentence of it."""

import re
from functools import cache

_SIGN = re.compile(r'\s*("[^"]*"|[a-z]+|[=|,;{}\[\]()])')
_CLOSING = {"(": ")", "[": "]", "{": "}"}


class Grammar:
    """Its rules by name. `word_rules` are those that one word of a sentence stands for."""

    def __init__(self, text, word_rules=()):
        self._signs = _SIGN.findall(text)
        self._word_rules = word_rules
        self.rules = {}
        while self._signs:
            name = self._signs.pop(0)
            self._expect("=")
            self.rules[name] = self._choice()
            self._expect(";")

    @property
    def terminals(self):
        return {word for rule in self.rules.values() for word in _terminals(rule)}

    def derives(self, name, words, is_word_of=lambda rule, word: False):
        """Whether the words, all of them, are what the rule stands for."""

        @cache
        def ends(part, start):
            kind, *of = part
            found = set()
            if kind == "word":
                found = {start + 1} if words[start : start + 1] == of else set()
            elif kind == "rule" and of[0] in self._word_rules:
                found = {start + 1 for word in words[start : start + 1] if is_word_of(*of, word)}
            elif kind == "rule":
                found = ends(self.rules[of[0]], start)
            elif kind == "choice":
                found = {end for one in of for end in ends(one, start)}
            elif kind == "row":
                found = {start}
                for one in of:
                    found = {end for at in found for end in ends(one, at)}
            elif kind == "maybe":
                found = {start} | ends(*of, start)
            elif kind == "often":
                found = new = {start}
                while new := {end for at in new for end in ends(*of, at)} - found:
                    found = found | new
            return found

        return len(words) in ends(("rule", name), 0)

    def _choice(self):
        rows = [self._row()]
        while self._signs[0] == "|":
            self._signs.pop(0)
            rows.append(self._row())
        return ("choice", *rows)

    def _row(self):
        parts = [self._part()]
        while self._signs[0] == ",":
            self._signs.pop(0)
            parts.append(self._part())
        return ("row", *parts)

    def _part(self):
        sign = self._signs.pop(0)
        if sign in _CLOSING:
            inner = self._choice()
            self._expect(_CLOSING[sign])
            return {"(": inner, "[": ("maybe", inner), "{": ("often", inner)}[sign]
        return ("word", sign.strip('"')) if sign.startswith('"') else ("rule", sign)

    def _expect(self, sign):
        found = self._signs.pop(0)
        assert found == sign, f"expected {sign}, found {found}"


def _terminals(part):
    kind, *of = part
    if kind == "word":
        yield of[0]
    for one in of:
        if isinstance(one, tuple):
            yield from _terminals(one)
