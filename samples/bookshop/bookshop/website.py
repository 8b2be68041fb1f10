"""Serves the catalogue on this machine: `python3 -m bookshop.website catalogue.json PORT`."""

import json
import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class Handler(BaseHTTPRequestHandler):
    books = ()

    def do_GET(self):
        answer = {"/books": self.books, "/count": len(self.books)}.get(self.path)
        body = json.dumps(answer if answer is not None else "not here").encode()
        self.send_response(200 if answer is not None else 404)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def address():
    """That of this machine alone; in a container all of its own, which others can't reach unless it says so."""
    marks = (Path("/.dockerenv"), Path("/run/.containerenv"))
    in_container = "KUBERNETES_SERVICE_HOST" in os.environ or any(mark.exists() for mark in marks)
    return "" if in_container else "127.0.0.1"


def main():
    catalogue, port = sys.argv[1:]
    Handler.books = json.loads(Path(catalogue).read_text())
    print(f"{len(Handler.books)} books on port {port}", flush=True)
    ThreadingHTTPServer((address(), int(port)), Handler).serve_forever()


if __name__ == "__main__":
    main()
