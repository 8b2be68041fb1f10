import random
import unittest

from bookshop.stock import SoldOutError, Stock


class StockTest(unittest.TestCase):
    def test_sells_the_last_copy_once(self):
        stock = Stock({"Emma": 1})
        stock.reserve("Emma")
        with self.assertRaises(SoldOutError):
            stock.reserve("Emma")

    def test_never_sells_more_than_there_is(self):
        """Many random days in the shop."""
        for seed in range(6_000):
            days, copies = random.Random(seed), {"Emma": 5, "The Trial": 3}
            stock, reserved = Stock(copies), []
            for _ in range(100):
                title = days.choice(list(copies))
                if reserved and days.random() < 0.4:
                    (stock.sell if days.random() < 0.5 else stock.release)(reserved.pop())
                elif stock.available(title):
                    stock.reserve(title)
                    reserved.append(title)
                self.assertGreaterEqual(stock.available(title), 0)
