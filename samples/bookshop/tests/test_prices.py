import unittest

from bookshop.prices import average, discounted


class PricesTest(unittest.TestCase):
    def test_discount(self):
        self.assertEqual(discounted(50, 10), 45)

    def test_average(self):
        self.assertEqual(average([8.5, 9.5]), 9)

    def test_average_of_no_books(self):
        self.assertEqual(average([]), 0)
