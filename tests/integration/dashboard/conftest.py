"""The site that the tests of this folder share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.integration.dashboard.site import HOSTILE, WAIT, Site
from tests.live import C8s
from tests.support.chromium import run_chromium


# Not for the session: the driver of the browser runs a loop, in which no other test can run one.
@pytest.fixture(scope="module")
def site(c8s: C8s, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    (folder / ".c8s.yaml").write_text(HOSTILE)
    out = c8s("run", cwd=folder).stdout
    run = next(line.split()[1] for line in out.splitlines() if line.startswith("run "))
    with run_chromium() as chromium:
        address = c8s("open", "--no-browser").stdout.strip()
        context = chromium.new_context()
        tab = context.new_page()
        tab.goto(address)
        tab.wait_for_url("**/runs", timeout=WAIT)
        state = context.storage_state()
        context.close()
        yield Site(c8s, chromium, address.partition("/ui/")[0] + "/ui/namespaces/default/", state, run, folder)
