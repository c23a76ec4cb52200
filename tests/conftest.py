"""What all tests share: nothing is kept in the folders of whoever runs them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Scripts that tests run are kept in a folder of this run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VARDSL_CACHE", str(tmp_path_factory.mktemp("cache") / "vardsl"))
        yield
