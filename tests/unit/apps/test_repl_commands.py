"""The prompt's commands, results and the way back, by what they print."""

from __future__ import annotations

from pathlib import Path

import pytest

from vardsl.apps.repl import commands, pages
from vardsl.apps.repl.conversation import Conversation
from vardsl.apps.repl.lines import is_command
from vardsl.apps.repl.tutorial import STEPS
from vardsl.golden import run as golden
from vardsl.session import Session
from vardsl.source import Source

Capture = pytest.CaptureFixture[str]


def type_in(c: Conversation, *lines: str) -> None:
    for line in lines:
        if is_command(line):
            commands.run(c, line)
        else:
            c.submit(line)


def said(c: Conversation, capsys: Capture, *lines: str) -> str:
    """What standard output and standard error get for these lines."""
    capsys.readouterr()
    type_in(c, *lines)
    out, err = capsys.readouterr()
    return out + err


# ---- results ----------------------------------------------------------------------------------------------
def test_a_bare_expression_is_shown_and_kept(conversation: Conversation, capsys: Capture) -> None:
    assert said(conversation, capsys, "1 + 2", "_ * 2", "ans + 1") == "3\n6\n7\n"
    assert said(conversation, capsys, "none", "let a = 5", "_") == "7\n"


def test_a_name_that_the_user_bound_is_the_users(conversation: Conversation, capsys: Capture) -> None:
    type_in(conversation, "let ans = 10", "1 + 2")
    assert said(conversation, capsys, "ans", "_") == "10\n10\n"


def test_long_results_are_summarised_and_last_shows_all(conversation: Conversation, capsys: Capture) -> None:
    text = said(conversation, capsys, "arange(2000)")
    assert "..." in text and ":last shows all" in text and " 1000," not in text
    whole = said(conversation, capsys, ":last")
    assert "..." not in whole and "1999" in whole and "1000," in whole


def test_several_statements_run_until_one_fails(conversation: Conversation, capsys: Capture) -> None:
    text = said(conversation, capsys, "print 1\nprint 1 // 0\nprint 3")
    assert text.startswith("1\nerror[value]") and "3\n" not in text.split("|")[0]
    assert " --> <1>:2:7" in text


def test_pasted_prompts_and_output_are_taken_off(conversation: Conversation, capsys: Capture) -> None:
    text = ">>> let x = 3\n>>> x\n3\n>>> for i in range(2) {\n...   print i\n... }\n0\n1\n>>> '>>> x'"
    assert said(conversation, capsys, text) == "3\n0\n1\n>>> x\n"
    assert said(conversation, capsys, "vd> x + 1\n4") == "4\n"


def test_warnings_have_the_line_of_the_prompt(conversation: Conversation, capsys: Capture) -> None:
    type_in(conversation, "let v = var 1.0 grad", "out = v*v")
    assert "warning[grad]" in said(conversation, capsys, "out.grad")


# ---- commands ----------------------------------------------------------------------------------------------
def test_every_command_has_a_line_of_help(conversation: Conversation, capsys: Capture) -> None:
    text = said(conversation, capsys, ":help")
    for name, command in commands.COMMANDS.items():
        assert f":{name}" in text and command.summary in text
    wanted = "help vars type time timeit undo redo reset load save edit history last plan copy set tutorial quit"
    assert set(wanted.split()) == set(commands.COMMANDS)


@pytest.mark.parametrize("ask", [":help softmax", "?softmax", "softmax?"])
def test_help_on_an_operation(conversation: Conversation, capsys: Capture, ask: str) -> None:
    text = said(conversation, capsys, ask)
    assert text.startswith("softmax(input") and "#> tensor([0.0900, 0.2447, 0.6652])" in text


def test_help_on_names_statements_and_nothing(conversation: Conversation, capsys: Capture) -> None:
    type_in(conversation, "let v = var [[1, 2], [3, 4]] grad")
    assert said(conversation, capsys, "?v") == "v: [2, 2] float32 grad  1..4\n"
    assert said(conversation, capsys, "?minimize").startswith("minimize e over")
    assert "did you mean softmax" in said(conversation, capsys, "?softmx")


def test_unknown_commands_get_a_suggestion(conversation: Conversation, capsys: Capture) -> None:
    assert said(conversation, capsys, ":vras") == "there is no command :vras; did you mean :vars?\n"
    assert "did you mean :timeit?" in said(conversation, capsys, "%timeit 1")
    assert ":help lists them" in said(conversation, capsys, ":zzzzz")


def test_vars(conversation: Conversation, capsys: Capture) -> None:
    assert said(conversation, capsys, ":vars") == "there are no names yet\n"
    type_in(
        conversation, "let v = var [[1, 2], [3, 4]] grad; backward mean(v*v); fn f(x, y=2) = x; let n = 3"
    )
    rows = said(conversation, capsys, ":vars -l").splitlines()
    assert rows[0].split() == ["v", "[2,", "2]", "float32", "grad", "1..4", "|grad|", "2.739", "16", "B"]
    assert rows[1].startswith("f  ") and rows[2].split() == ["n", "3"]


def test_type_has_no_effects(conversation: Conversation, capsys: Capture) -> None:
    type_in(conversation, "let v = var ones(2, 3) grad")
    assert said(conversation, capsys, ":type v @ v.T") == "[2, 2] float32 grad\n"
    assert "not run" in said(conversation, capsys, ":type v.zero_()")
    assert "not run" in said(conversation, capsys, ":type randn(3)")
    assert conversation.session["v"].tolist() == [[1.0] * 3] * 2
    assert "error[name]" in said(conversation, capsys, ":type nope")


def test_time_and_timeit(conversation: Conversation, capsys: Capture) -> None:
    type_in(conversation, "let n = 1")
    text = said(conversation, capsys, ":time n += 1", "n")
    assert text.splitlines()[0].split()[1] in ("µs", "ms", "s") and text.endswith("2\n")
    assert "per run, best" in said(conversation, capsys, ":timeit n + 1")


def test_history_lists_what_ran(conversation: Conversation, capsys: Capture) -> None:
    type_in(conversation, "let a = 1", "a + 1", "nope")
    assert said(conversation, capsys, ":history") == "  let a = 1\n  a + 1\n"
    assert said(conversation, capsys, ":history 1") == "  a + 1\n"


def test_settings(conversation: Conversation, capsys: Capture) -> None:
    assert "editing" in said(conversation, capsys, ":set")
    type_in(conversation, ":set editing vi", ":set preview off")
    assert (conversation.settings.editing, conversation.settings.preview) == ("vi", False)
    assert "emacs or vi" in said(conversation, capsys, ":set editing ed")
    assert "did you mean toolbar" in said(conversation, capsys, ":set toolbr")
    assert said(conversation, capsys, ":set editing") == "editing vi\n"
    assert "s" in said(conversation, capsys, ":set timing on", "let x = 1")


def test_reset_and_quit(conversation: Conversation, capsys: Capture) -> None:
    type_in(conversation, "let a = 1", ":reset")
    assert "unknown name a" in said(conversation, capsys, "a")
    assert "nothing to take back" in said(conversation, capsys, ":undo")
    type_in(conversation, ":quit 3")
    assert conversation.status == 3
    assert "no exit status" in said(conversation, capsys, ":quit x")


def test_copy_and_edit_say_why_not(
    conversation: Conversation, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    type_in(conversation, "1 + 1")
    assert "no clipboard" in said(conversation, capsys, ":copy")
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.setenv("EDITOR", "false")
    assert "nothing is run" in said(conversation, capsys, ":edit")
    monkeypatch.setenv("EDITOR", "sed -i s/1/20/g")
    assert said(conversation, capsys, ":edit") == "40\n"


# ---- files -------------------------------------------------------------------------------------------------
def test_load_runs_a_script(conversation: Conversation, capsys: Capture, tmp_path: Path) -> None:
    (tmp_path / "a.vd").write_text("let a = 4\nprint a\nprint a // 0\nprint 5\n")
    text = said(conversation, capsys, f":load {tmp_path}/a.vd", "a")
    assert text.startswith("4\n") and "--> a.vd:3:7" in text and "5\n" not in text
    assert "cannot be read" in said(conversation, capsys, f":load {tmp_path}/none.vd")


def test_save_is_a_script_that_tests_itself(
    conversation: Conversation, capsys: Capture, tmp_path: Path
) -> None:
    type_in(
        conversation,
        "let v = var [[1, 2], [3, 4]] grad",
        "out = mean(v*v)",
        "nope + 1",
        "backward out",
        "v.grad",
        "print 1 // 0",
        "_ * 2",
        "let gone = 1",
        ":undo",
        "(1, 'a')",
        "rand(2)",
        "for i in range(2) {\n  print i\n}",
        f":save {tmp_path}/lesson.vd",
    )
    text = (tmp_path / "lesson.vd").read_text()
    assert "nope" not in text and "// 0" not in text and "gone" not in text
    assert text.startswith("seed(0)\n") and "#> tensor([[0.5000, 1.0000],\n" in text
    result = golden(Source("lesson.vd", text), Session())
    assert result.passed, result.difference()


def test_save_is_a_page(conversation: Conversation, capsys: Capture, tmp_path: Path) -> None:
    type_in(conversation, "let a = 1", "a + 1", f":save {tmp_path}/page.md")
    text = (tmp_path / "page.md").read_text()
    assert text == "# page\n\n```vardsl\nlet a = 1\na + 1\n```\n\n```text\n2\n```\n"
    assert "FILE.vd" in said(conversation, capsys, f":save {tmp_path}/page.txt")
    assert "cannot be written" in said(conversation, capsys, f":save {tmp_path}/no/page.md")


def test_a_save_never_follows_a_link(conversation: Conversation, capsys: Capture, tmp_path: Path) -> None:
    (tmp_path / "target").write_text("keep")
    (tmp_path / "a.vd").symlink_to(tmp_path / "target")
    type_in(conversation, "let a = 1")
    assert "cannot be written" in said(conversation, capsys, f":save {tmp_path}/a.vd")
    assert (tmp_path / "target").read_text() == "keep"


# ---- completion of commands ----
def test_commands_and_their_arguments_complete(conversation: Conversation, tmp_path: Path) -> None:
    def texts(before: str) -> list[str]:
        return [c.text for c in commands.complete(conversation, before)]

    type_in(conversation, "let softness = 1")
    assert texts(":ti") == ["time", "timeit"]
    assert texts(":help soft")[0] == "softness" and "softmax" in texts("?soft")
    assert texts(":set ed") == ["editing"] and texts(":set editing ") == ["emacs", "vi"]
    (tmp_path / "lesson.vd").write_text("")
    assert texts(f":load {tmp_path}/les") == ["lesson.vd"]
    assert "softness" in texts(":type soft")


# ---- the tutorial ----
def test_the_tutorial_goes_on_when_a_step_is_done(conversation: Conversation, capsys: Capture) -> None:
    text = said(conversation, capsys, ":tutorial")
    assert "Step 1 of 8" in text
    assert "Step 2" not in said(conversation, capsys, "let x = [[1, 2], [3, 5]]")
    for k, step in enumerate(STEPS):
        text = said(conversation, capsys, step.example)
        assert "✓" in text, step.title
        assert f"Step {k + 2} of 8" in text or k == 7
    assert conversation.tutorial is None and not conversation.watchers


def test_the_tutorial_can_be_left_and_skipped(conversation: Conversation, capsys: Capture) -> None:
    assert "Step 3 of 8" in said(conversation, capsys, ":tutorial 3")
    assert "Step 4 of 8" in said(conversation, capsys, ":tutorial skip")
    type_in(conversation, ":tutorial stop")
    assert "Step" not in said(conversation, capsys, "out = mean(var [1.0, 2] grad)")


def test_the_golden_scripts_are_the_tutorials_steps() -> None:
    folder = Path(__file__).parents[3] / "examples" / "tutorial"
    for number, step in enumerate(STEPS, start=1):
        (path,) = folder.glob(f"{number}_*.vd")
        text = path.read_text().replace(" ", "").replace("\n", ";")
        for line in step.example.replace("; ", "\n").split("\n"):
            assert line.replace(" ", "") in text, path.name


def test_a_page_of_nothing_is_a_title() -> None:
    assert pages.script([]) == "" and pages.page([], "x") == "# x\n"


@pytest.mark.parametrize(
    "path", sorted((Path(__file__).parents[3] / "examples" / "tutorial").glob("*.vd")), ids=lambda p: p.stem
)
def test_the_tutorials_scripts_print_what_they_say(path: Path) -> None:
    result = golden(Source(path.name, path.read_text()), Session(seed=0))
    assert result.passed, result.difference()


def test_plans_of_the_session(conversation: Conversation, capsys: Capture) -> None:
    assert said(conversation, capsys, ":plan").startswith("nothing was planned")
    conversation.submit("let x = rand(3)")
    conversation.submit("for i in range(9) { y = tanh(x) }")
    text = said(conversation, capsys, ":plan")
    assert "planned; " in text
    assert "y = tanh(x)" in text
