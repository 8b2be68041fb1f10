"""The pages of the website, which runs beside these tests. `BOOKSHOP` is its address."""

import json
import os
import unittest
import urllib.error
import urllib.request

ADDRESS = os.environ.get("BOOKSHOP", "http://localhost:18090")


def read(page):
    with urllib.request.urlopen(ADDRESS + page, timeout=10) as answer:
        return json.load(answer)


class WebsiteTest(unittest.TestCase):
    def test_lists_the_books(self):
        self.assertIn("Emma", [book["title"] for book in read("/books")])

    def test_counts_them(self):
        self.assertEqual(read("/count"), len(read("/books")))

    def test_unknown_page(self):
        with self.assertRaises(urllib.error.HTTPError):
            read("/magazines")
