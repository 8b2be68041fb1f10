"""The command line."""

import argparse
import sys
from pathlib import Path

from wordcount.counting import count, top


def main(argv=None):
    parser = argparse.ArgumentParser(prog="wordcount", description="Count the words of text files.")
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--top", type=int, default=10, metavar="N")
    args = parser.parse_args(argv)
    missing = [str(path) for path in args.files if not path.is_file()]
    if missing:
        print(f"wordcount: no such file: {', '.join(missing)}", file=sys.stderr)
        return 2
    counter = count(path.read_text(encoding="utf-8") for path in args.files)
    files = "1 file" if len(args.files) == 1 else f"{len(args.files)} files"
    print(f"{counter.total()} words, {len(counter)} different, in {files}")
    for word, number in top(counter, args.top):
        print(f"{number:6}  {word}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
