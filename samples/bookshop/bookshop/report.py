"""Says what the shop has; the package runs it."""

import json
import pkgutil

from bookshop.prices import average, discounted


def main():
    books = json.loads(pkgutil.get_data("__main__", "catalogue.json"))
    cheapest = min(books, key=lambda book: book["price"])
    print(f"{len(books)} books, {average([book['price'] for book in books]):.2f} on average")
    print(f"the cheapest one is {cheapest['title']}, {discounted(cheapest['price'], 10):.2f} today")
