"""`python -m embedded`."""

import gc
import sys

from embedded.http_library import import_aiohttp

if __name__ == "__main__":
    # What is imported stays: collections would only look at it, again and again.
    gc.disable()
    import_aiohttp()
    from embedded.main import main

    gc.freeze()
    gc.enable()
    sys.exit(main())
