"""What is offered where."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from vardsl.assist.complete import complete
from vardsl.session import Session


@pytest.fixture(scope="module")
def session() -> Session:
    s = Session(seed=0)
    s.run(
        "let weights = var ones(2, 3) grad; let width = 3; fn wiggle(x, scale=2) = x * scale; "
        "let pair = topk(arange(5), 2); let opt = sgd(weights, lr=0.1)"
    )
    return s


def texts(session: Session, before: str, folder: str = ".") -> list[str]:
    return [c.text for c in complete(before, session.names(), folder=folder)]


def notes(session: Session, before: str) -> dict[str, str]:
    return {c.text: c.note() for c in complete(before, session.names())}


def test_names_come_with_what_they_are(session: Session) -> None:
    found = notes(session, "print w")
    assert list(found)[:3] == ["weights", "width", "wiggle"]
    assert found["weights"] == "[2, 3] float32 grad" and found["width"] == "3"
    assert found["wiggle"].startswith("wiggle(x") or "wiggle" in found["wiggle"]
    assert notes(session, "softma")["softmax"].startswith("Positive numbers with sum 1")


@pytest.mark.parametrize(
    ("before", "first"),
    [
        ("weights.sha", "shape"),
        ("weights.gr", "grad"),
        ("weights.grad.mea", "mean"),
        ("weights.mea", "mean"),
        ("sum(weights).so", "softmax"),
        ("pair.val", "values"),
        ("opt.l", "lr"),
        ("linalg.in", "inv"),
        ("sum(weights, d", "dim="),
        ("sum(weights, dim=0, k", "keepdim="),
        ("weights.sum(k", "keepdim="),
        ("wiggle(3, sc", "scale="),
        ("minimize sum(weights) ov", "over"),
        ("minimize sum(weights) over weights us", "using"),
        ("minimize sum(weights) over weights using ad", "adam"),
        ("minimize sum(weights) over weights using sgd(", "lr="),
        ("backward weights re", "retain"),
        ("explain weights w", "wrt"),
        ("var weights gr", "grad"),
        ("var weights float6", "float64"),
        ("if width > 2 { prin", "print"),
        ("\\alpha", "α"),
        ("\\lamb", "λ"),
        ('print f"{wid', "width"),
        ("SOFTMA", "softmax"),
    ],
)
def test_the_likeliest_comes_first(session: Session, before: str, first: str) -> None:
    found = texts(session, before)
    assert first in found[:4], found[:10]


@pytest.mark.parametrize(
    "before", ['x = "wei', "# wei", "#> wei", "let w", "fn w", "for w", "3.", "1.5e", "width.gr", "nope.sh"]
)
def test_nothing_is_offered_where_no_name_can_stand(session: Session, before: str) -> None:
    assert [t for t in texts(session, before) if t in ("weights", "width", "grad", "shape")] == []


def test_words_are_offered_only_where_the_grammar_has_room(session: Session) -> None:
    assert "over" not in texts(session, "print o") and "retain" not in texts(session, "r")
    assert "else" not in texts(session, "e") and "minimize" in texts(session, "mini")
    assert "dim=" not in texts(session, "sum(weights, dim=0, d")


def test_files_only_inside_the_right_strings(session: Session, tmp_path: Path) -> None:
    (tmp_path / "lib.vd").write_text("")
    (tmp_path / "data.npy").write_text("")
    (tmp_path / "folder").mkdir()
    folder = str(tmp_path)
    assert texts(session, 'import "', folder) == ["folder/", "lib.vd"]
    assert texts(session, 'load("da', folder) == ["data.npy"]
    assert texts(session, 'save("da', folder) == ["data.npy"]
    assert texts(session, 'graph weights to "fig', folder)[0] == "fig.svg"
    assert texts(session, "plot weights to ", folder)[0] == '"plot.png"'
    assert texts(session, 'print "da', folder) == [] and texts(session, 'x = load(1, "da', folder) == []


def test_it_is_quick_with_three_hundred_names(session: Session) -> None:
    names = {f"name_{k}": k for k in range(300)} | session.names()
    complete("n", names)
    began = time.thread_time()
    for _ in range(20):
        complete("let x = sum(name_1 * na", names)
    assert (time.thread_time() - began) / 20 < 0.01


def test_it_never_fails_on_any_text(session: Session) -> None:
    text = 'for i in range(3) {\n  x = f(a, [b, "c", f"{d:.2f}"])[1:2].grad \\al |> g # end\n}\n'
    for k in range(len(text) + 1):
        complete(text[:k], session.names())
        complete(text[k:], session.names())
