import unittest

from wordcount.text import words


class Words(unittest.TestCase):
    def test_punctuation_is_no_part_of_a_word(self):
        self.assertEqual(words("Stop! Who goes there?"), ["stop", "who", "goes", "there"])

    def test_an_apostrophe_inside_a_word_is(self):
        self.assertEqual(words("don't 'quote'"), ["don't", "quote"])

    def test_letters_of_every_script_count(self):
        self.assertEqual(words("Straße, été, слово"), ["strasse", "été", "слово"])
