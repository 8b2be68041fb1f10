"""How often each word occurs."""

from collections import Counter

from wordcount.text import words


def count(texts):
    """A Counter of the words of all texts together."""
    counter = Counter()
    for text in texts:
        counter.update(words(text))
    return counter


def top(counter, number):
    """The `number` most frequent (word, count) pairs; among equals, in alphabetical order."""
    return sorted(counter.items(), key=lambda item: (-item[1], item[0]))[:number]
