"""What a customer wants to buy."""


class Cart:
    """Titles and how many of each."""

    def __init__(self):
        self._copies = {}

    def add(self, title, copies=1):
        if copies < 1:
            raise ValueError(f"{copies} copies of {title} can't be bought")
        self._copies[title] = self._copies.get(title, 0) + copies

    def remove(self, title):
        self._copies.pop(title, None)

    def __len__(self):
        return sum(self._copies.values())

    def total(self, prices):
        return round(sum(prices[title] * copies for title, copies in self._copies.items()), 2)
