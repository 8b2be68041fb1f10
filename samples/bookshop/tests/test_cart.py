import unittest

from bookshop.cart import Cart


class CartTest(unittest.TestCase):
    def test_is_empty_at_first(self):
        self.assertEqual(len(Cart()), 0)

    def test_counts_copies(self):
        cart = Cart()
        cart.add("Emma", 2)
        cart.add("Emma")
        self.assertEqual(len(cart), 3)

    def test_total(self):
        cart = Cart()
        cart.add("Emma", 2)
        cart.add("The Trial")
        self.assertEqual(cart.total({"Emma": 8.5, "The Trial": 9.0}), 26.0)

    def test_refuses_nothing(self):
        with self.assertRaises(ValueError):
            Cart().add("Emma", 0)
