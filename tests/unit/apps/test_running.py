"""What the options of a command line limit and allow."""

from __future__ import annotations

from vardsl.apps.options import RUNNING, read
from vardsl.apps.running import limits_of, permissions_of


def test_a_sandbox_limits_everything_and_gives_way_to_what_is_asked() -> None:
    line = read("vardsl", ["--sandbox", "--max-steps", "7"], RUNNING, stop_at_word=False)
    limits = limits_of(line)
    assert limits is not None and limits.pop("max_steps") == 7
    assert limits == {"max_memory": 256_000_000, "max_time": 10.0, "max_output": 1_000_000}
    assert limits_of(read("vardsl", ["--sandbox"], RUNNING, stop_at_word=False)) == limits | {"max_steps": 10_000_000}


def test_without_a_sandbox_only_what_is_asked_is_limited() -> None:
    assert limits_of(read("vardsl", ["--max-time", "2"], RUNNING, stop_at_word=False)) == {"max_time": 2.0}
    assert limits_of(read("vardsl", [], RUNNING, stop_at_word=False)) is None


def test_a_sandbox_opens_no_files_but_those_that_are_allowed() -> None:
    allowed = ["--allow-read", "in", "--allow-write", "out"]
    open_ = permissions_of(read("vardsl", allowed, RUNNING, stop_at_word=False), "here", own=True)
    shut = permissions_of(read("vardsl", ["--sandbox", *allowed], RUNNING, stop_at_word=False), "here", own=True)
    assert len(open_.read) == len(open_.write) == 2
    assert len(shut.read) == len(shut.write) == 1
