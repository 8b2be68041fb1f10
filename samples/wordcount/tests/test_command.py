import contextlib
import io
import tempfile
import unittest
from pathlib import Path

from wordcount.command import main


class Command(unittest.TestCase):
    def test_prints_the_total_and_the_most_frequent_words(self):
        with tempfile.TemporaryDirectory() as folder:
            text = Path(folder, "text.txt")
            text.write_text("to be or not to be", encoding="utf-8")
            out = io.StringIO()
            with contextlib.redirect_stdout(out):
                self.assertEqual(main(["--top", "1", str(text)]), 0)
        self.assertEqual(out.getvalue(), "6 words, 4 different, in 1 file\n     2  be\n")

    def test_a_missing_file_is_named(self):
        err = io.StringIO()
        with contextlib.redirect_stderr(err):
            self.assertEqual(main(["/does/not/exist"]), 2)
        self.assertIn("/does/not/exist", err.getvalue())
