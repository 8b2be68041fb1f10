"""What a word is."""

import re

_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")


def words(text):
    """The words of a text in their order, in lower case."""
    return [match.group().casefold() for match in _WORD.finditer(text)]
