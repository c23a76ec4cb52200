import io

import pytest

from vardsl.display.ansi import ANSI, PLAIN, escape_control, use_colour


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize(
    ("stream", "mode", "environ", "colour"),
    [
        (Terminal(), "auto", {}, True),
        (Terminal(), "auto", {"TERM": "xterm-256color"}, True),
        (Terminal(), "auto", {"TERM": "dumb"}, False),
        (Terminal(), "auto", {"NO_COLOR": "1"}, False),
        (Terminal(), "auto", {"NO_COLOR": ""}, True),
        (Terminal(), "never", {"FORCE_COLOR": "1"}, False),
        (io.StringIO(), "auto", {}, False),
        (io.StringIO(), "auto", {"FORCE_COLOR": "1"}, True),
        (io.StringIO(), "auto", {"FORCE_COLOR": "0"}, False),
        (io.StringIO(), "auto", {"FORCE_COLOR": ""}, False),
        (io.StringIO(), "auto", {"CLICOLOR_FORCE": "1", "TERM": "dumb"}, True),
        (io.StringIO(), "auto", {"CLICOLOR_FORCE": "1", "NO_COLOR": "1"}, False),
        (io.StringIO(), "always", {"NO_COLOR": "1"}, True),
    ],
)
def test_colour_is_decided_for_each_stream(stream, mode, environ, colour):
    assert use_colour(stream, mode, environ) is colour


def test_a_closed_stream_has_no_colour():
    stream = io.StringIO()
    stream.close()
    assert use_colour(stream, "auto", {}) is False


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain é 学 🙂\n\tx", "plain é 学 🙂\n\tx"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("a\rb\x00\x7f\x9b", "a\\x0db\\x00\\x7f\\x9b"),
        ("\u202eabc\u2066", "\\u202eabc\\u2066"),
        ("\u200b\u200d\ufeff", "\\u200b\\u200d\\ufeff"),
        ("\U000e0041\udcff", "\\U000e0041\\udcff"),
        ("\u2028", "\\u2028"),
    ],
)
def test_control_characters_become_visible(text, shown):
    assert escape_control(text) == shown


def test_only_ansi_paints():
    assert PLAIN.paint("error", "e") == "e"
    assert ANSI.paint("error", "e") == "\x1b[1;31me\x1b[0m"
    assert ANSI.paint("error", "") == ""
