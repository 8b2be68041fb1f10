"""How many copies there are."""


class SoldOutError(Exception):
    pass


class Stock:
    """Copies by title. Copies that are reserved can't be sold to others."""

    def __init__(self, copies):
        self._copies = dict(copies)
        self._reserved = {}

    def available(self, title):
        return self._copies.get(title, 0) - self._reserved.get(title, 0)

    def reserve(self, title):
        if self.available(title) < 1:
            raise SoldOutError(title)
        self._reserved[title] = self._reserved.get(title, 0) + 1

    def release(self, title):
        self._reserved[title] -= 1

    def sell(self, title):
        self.release(title)
        self._copies[title] -= 1
