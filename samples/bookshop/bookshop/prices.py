"""What books cost."""


def discounted(price, percent):
    """The price after a discount."""
    return round(price * (100 - percent) / 100, 2)


def average(prices):
    """What a book costs on average."""
    return round(sum(prices) / len(prices), 2)
