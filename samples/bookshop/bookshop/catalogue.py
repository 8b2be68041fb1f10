"""Makes the catalogue, a JSON document, of the list of books: `python3 -m bookshop.catalogue books.csv out.json`."""

import csv
import json
import sys
from pathlib import Path


def read_books(path):
    """The books of a list with the columns title, author and price."""
    with Path(path).open(encoding="utf-8", newline="") as file:
        return [{**row, "price": float(row["price"])} for row in csv.DictReader(file)]


def main():
    source, target = sys.argv[1:]
    books = sorted(read_books(source), key=lambda book: book["title"])
    Path(target).write_text(json.dumps(books, indent=1))
    for book in books:
        print(f"{book['price']:8.2f}  {book['title']}")
    print(f"{len(books)} books")


if __name__ == "__main__":
    main()
