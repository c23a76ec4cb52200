"""The keys of the prompt, sent through a pipe."""

from __future__ import annotations

import pytest

from .conftest import Keyboard

UP, DOWN, RIGHT, LEFT = "\x1b[A", "\x1b[B", "\x1b[C", "\x1b[D"
PASTE, END = "\x1b[200~", "\x1b[201~"


# ---- Enter -------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("text", ["1 + 2", "let x = [1, 2]", "if true { 1 }", "x = )", ":vars", "?sum", ""])
def test_enter_runs_what_is_whole_or_wrong(keyboard: Keyboard, text: str) -> None:
    assert keyboard.type(text + "\r") == text


def test_enter_goes_on_inside_brackets_and_indents(keyboard: Keyboard) -> None:
    read = keyboard.type("for i in range(3) {\r", "print i\r", "}\r")
    assert read == "for i in range(3) {\n  print i\n}"


def test_enter_goes_on_behind_an_operator(keyboard: Keyboard) -> None:
    assert keyboard.type("1 +\r", "2\r") == "1 +\n2"


def test_a_copied_prompt_does_not_hide_that_the_block_goes_on(keyboard: Keyboard) -> None:
    assert keyboard.type(">>> for i in r {\r", "... i\r", "... }\r").count("\n") == 2


def test_alt_enter_makes_a_line_and_escape_then_enter_runs(keyboard: Keyboard) -> None:
    assert keyboard.type("a = 1", "\x1b\r", "b = 2\r") == "a = 1\nb = 2"
    assert keyboard.type("a = (", "\x1b", keyboard.pause, "\r") == "a = ("


def test_a_closing_brace_finds_its_column(keyboard: Keyboard) -> None:
    keys = ("if a {\r", "if b {\r", "c = 1\r", "}\r", "}\r")
    assert keyboard.type(*keys) == "if a {\n  if b {\n    c = 1\n  }\n}"


# ---- editing -----------------------------------------------------------------------------------------------
def test_undo_and_redo(keyboard: Keyboard) -> None:
    assert keyboard.type("ab", "\x17", "\x1f", "\r") == "ab"  # ctrl-w, ctrl-_
    assert keyboard.type("cd", "\x17", "\x1f", "\x1b_", "ef\r") == "ef"


def test_vi_mode(keyboard: Keyboard) -> None:
    keyboard.conversation.settings.set("editing", "vi")
    assert keyboard.type("abc", "\x1b", keyboard.pause, "0x", "A", "d\r") == "bcd"
    keyboard.conversation.settings.set("editing", "emacs")
    assert keyboard.type("abc", "\x01\x04\r") == "bc"


def test_ctrl_c_clears_and_ctrl_d_leaves_an_empty_line(keyboard: Keyboard) -> None:
    with pytest.raises(KeyboardInterrupt):
        keyboard.type("half a line", "\x03")
    with pytest.raises(EOFError):
        keyboard.type("\x04")
    assert keyboard.type("ab", LEFT + "\x04", "c\r") == "ac"


def test_a_paste_does_not_run_by_itself(keyboard: Keyboard) -> None:
    seen: list[str] = []
    paste = PASTE + "a = 1\nb = 2\nprint a + b\n" + END
    arrived = keyboard.wait_for(lambda: keyboard.buffer.text)
    read = keyboard.type(paste, arrived, lambda: seen.append(keyboard.buffer.text), "\r")
    assert read.rstrip() == "a = 1\nb = 2\nprint a + b"
    assert seen == ["a = 1\nb = 2\nprint a + b\n"]


# ---- history -----------------------------------------------------------------------------------------------
def test_up_finds_what_began_alike_with_the_menu_on(keyboard: Keyboard) -> None:
    for text in ("let one = 1", "print one", "let two = 2", "print two"):
        keyboard.type(text + "\r")
    assert keyboard.type("le", keyboard.wait_for(keyboard.menu), UP, "\r") == "let two = 2"
    assert keyboard.type("le", UP, UP, "\r") == "let one = 1"
    assert keyboard.type("pr", UP, UP, DOWN, "\r") == "print two"
    assert keyboard.type(UP, "\r") == "print two"


def test_one_press_recalls_a_whole_block(keyboard: Keyboard) -> None:
    block = "for i in range(2) {\r", "i\r", "}\r"
    keyboard.type("let a = 1\r")
    text = keyboard.type(*block)
    assert keyboard.type(UP, "\r") == text
    assert keyboard.type(UP, UP, "\r") == "let a = 1"


def test_after_an_old_entry_down_gives_the_one_that_followed(keyboard: Keyboard) -> None:
    for text in ("let a = 1", "let b = 2", "let c = 3"):
        keyboard.type(text + "\r")
    assert keyboard.type(UP, UP, UP, "\r") == "let a = 1"
    assert keyboard.type(DOWN, "\r") == "let b = 2"


def test_ctrl_r_searches(keyboard: Keyboard) -> None:
    keyboard.type("let needle = 1\r")
    keyboard.type("let other = 2\r")
    assert keyboard.type("\x12", "need", "\r", "\r") == "let needle = 1"


def test_ghost_text_is_taken_with_right(keyboard: Keyboard) -> None:
    keyboard.type("let weights = randn(3)\r")
    ghost = keyboard.wait_for(lambda: keyboard.buffer.suggestion)
    assert keyboard.type("let we", ghost, RIGHT, "\r") == "let weights = randn(3)"
    keyboard.type("weights + 1\r")
    assert keyboard.type("weig", ghost, "\x1bf", "\r") == "weights "


def test_history_is_kept_for_the_next_session(keyboard: Keyboard) -> None:
    keyboard.type("let kept = 1\r")
    assert keyboard.prompt.session.history.file.load() == ["let kept = 1"]  # type: ignore[attr-defined]


# ---- help while typing -------------------------------------------------------------------------------------
def test_the_menu_shows_names_with_what_they_are(keyboard: Keyboard) -> None:
    keyboard.conversation.submit("let weights = var ones(2, 3) grad")
    notes: list[str] = []

    def look() -> None:
        state = keyboard.buffer.complete_state
        notes.extend("".join(part[1] for part in c.display_meta) for c in state.completions)

    assert keyboard.type("weig", keyboard.wait_for(keyboard.menu), look, "\t", "\r", "\r") == "weights"
    assert notes[0] == "[2, 3] float32 grad"


def test_enter_takes_a_chosen_completion_and_runs_only_then(keyboard: Keyboard) -> None:
    keyboard.conversation.submit("let weights = 1; let weight_decay = 2")
    read = keyboard.type("wei", keyboard.wait_for(keyboard.menu), "\t", "\r", " + 1\r")
    assert read == "weights + 1"


def test_letters_by_their_latex_names(keyboard: Keyboard) -> None:
    assert keyboard.type("\\alpha", "\t", "\r", " = 1\r") == "α = 1"


def test_the_toolbar_shows_the_signature_with_the_argument(keyboard: Keyboard) -> None:
    def marked() -> list[str]:
        return [part[1] for part in keyboard.prompt._toolbar() if "active" in part[0]]

    keyboard.conversation.submit("let v = ones(2, 2)")
    keyboard.type("sum(v, dim=", keyboard.wait_for(lambda: marked() == ["dim=none"]), "0)\r")


def test_the_toolbar_shows_a_preview_and_never_its_effects(keyboard: Keyboard) -> None:
    keyboard.conversation.submit("let v = var [[1, 2], [3, 4]] grad; let w = ones(3)")
    bars: list[str] = []
    see = lambda text: keyboard.wait_for(lambda: text in keyboard.toolbar())  # noqa: E731
    assert keyboard.type("mean(v*v", see("→ 7.5"), ")\r") == "mean(v*v)"
    assert keyboard.type("v @ w", see("cannot multiply [2, 2] by [3]"), "\r") == "v @ w"
    keyboard.type("v.zero_()", lambda: bars.append(keyboard.toolbar()), "\r")
    assert "→" not in bars[0] and keyboard.conversation.session["v"].tolist() == [[1, 2], [3, 4]]


def test_the_toolbar_can_be_off(keyboard: Keyboard) -> None:
    keyboard.conversation.settings.set("toolbar", "off")
    keyboard.type("1\r")
    assert keyboard.prompt.session.bottom_toolbar is None


def test_commands_complete(keyboard: Keyboard) -> None:
    assert keyboard.type(":tut", "\t", "\r", "\r") == ":tutorial"
    assert keyboard.type(":set edi", "\t", "\r", "\r") == ":set editing"


def test_typing_before_the_session_is_there_works(keyboard: Keyboard) -> None:
    keyboard.prompt.help = type(keyboard.prompt.help)()  # as it is before the session is made
    assert keyboard.type("sum([1, 2])", "\t", "\r").strip() == "sum([1, 2])"
    assert "F1 help" in keyboard.toolbar()
