import unittest

from wordcount.counting import count, top


class Counting(unittest.TestCase):
    def test_counts_go_across_texts_and_ignore_case(self):
        self.assertEqual(count(["One two", "two"]), {"one": 1, "two": 2})

    def test_nothing_has_no_words(self):
        self.assertEqual(count([]), {})

    def test_the_top_is_in_alphabetical_order_among_equals(self):
        self.assertEqual(top(count(["b a c c"]), 2), [("c", 2), ("a", 1)])
