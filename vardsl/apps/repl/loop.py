"""The loop: a prompt that stands there at once, a session made behind it, and what is typed going to it.

Nothing here imports NumPy or the line editor before the prompt is on the screen.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

from vardsl.apps.repl.config import Settings, config_folder, history_path, load
from vardsl.apps.repl.lines import is_command

BANNER = "vardsl {version}   :help for help, :tutorial to learn it, Ctrl-D to leave"


class Reader(Protocol):
    """What gives one block of input after another; EOFError is the end, KeyboardInterrupt an empty block."""

    def read(self) -> str: ...


class Behind:
    """The conversation, made in a thread while the prompt is drawn."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self.make = make
        self.found: Any = None
        self.error: BaseException | None = None
        self.thread = threading.Thread(target=self._run, name="vardsl-start", daemon=True)
        self.started = False
        self.ready = threading.Event()
        self.when_ready: list[Callable[[Any], None]] = []

    def start(self) -> None:
        """Begins, if it has not begun."""
        if not self.started:
            self.started = True
            self.thread.start()

    def _run(self) -> None:
        try:
            self.found = self.make()
        except BaseException as error:
            self.error = error
            return
        finally:
            self.ready.set()
        for act in self.when_ready:
            # help while typing: the prompt works without it too
            with contextlib.suppress(Exception):
                act(self.found)

    @property
    def conversation(self) -> Any:
        """The conversation, or None while it is being made."""
        return self.found

    def wait(self) -> Any:
        """The conversation, when it is there."""
        self.start()
        self.ready.wait()
        if self.error is not None:
            raise self.error
        return self.found


def start(
    session: Any,
    make: Callable[[], Any] | None,
    *,
    plain: bool,
    init: bool,
    banner: bool,
    colour: str,
    in_thread: bool = False,
) -> int:
    """Reads, runs and shows until the user leaves; the exit status."""
    emit = session.emit if session is not None else None
    try:
        return _start(session, make, plain, init, banner, colour, in_thread)
    finally:
        if session is not None:
            session.emit = emit


def _start(
    session: Any,
    make: Callable[[], Any] | None,
    plain: bool,
    init: bool,
    banner: bool,
    colour: str,
    in_thread: bool,
) -> int:
    folder = config_folder()
    settings, complaints = load(folder / "config.toml")
    plain = plain or not can_edit()
    if plain:
        colour = "never"
    early = None
    if banner and settings.banner:
        sys.stdout.write(BANNER.format(version=_version()) + "\n")
        sys.stdout.flush()
    if not plain:
        early = _Early(settings.prompt)
    behind = Behind(lambda: _conversation(session, make, settings, colour, plain))
    try:
        reader: Reader
        if plain:
            reader = import_module("vardsl.apps.repl.plain").PlainReader(settings)
        else:
            prompt = import_module("vardsl.apps.repl.prompt")
            reader = prompt.Prompt(
                behind, settings, history_path(), colour, in_thread=in_thread, before=early
            )
    except BaseException:
        if early is not None:
            early.end()
        raise
    for complaint in complaints:
        _remark(complaint)
    script = folder / "init.vd"
    if init and not os.environ.get("VARDSL_NO_INIT") and script.is_file():
        if early is not None:
            early.end(wipe=True)
        _run_file(behind.wait(), script)
    return _loop(reader, behind)


def _loop(reader: Reader, behind: Behind) -> int:
    while True:
        try:
            text = reader.read()
        except EOFError:
            break
        except KeyboardInterrupt:
            continue
        if not text.strip():
            continue
        try:
            status = _take(behind.wait(), text)
        except KeyboardInterrupt:
            continue
        if status is not None:
            return status
    return 0


# What people type who have not found the colon yet.
_HINTS = {"help": ":help shows help", "exit": ":quit or Ctrl-D leaves", "quit": ":quit or Ctrl-D leaves"}


def _take(conversation: Any, text: str) -> int | None:
    """Runs what was typed; the exit status where that is to leave."""
    word = text.strip()
    if is_command(text):
        import_module("vardsl.apps.repl.commands").run(conversation, text)
    elif word in _HINTS and word not in conversation.session:
        conversation.say(_HINTS[word])
    else:
        conversation.submit(text)
    status: int | None = conversation.status
    return status


def _conversation(
    session: Any, make: Callable[[], Any] | None, settings: Settings, colour: str, plain: bool
) -> Any:
    if session is None:
        session = make() if make is not None else import_module("vardsl.session").Session()
    return import_module("vardsl.apps.repl.conversation").Conversation(session, settings, colour, plain=plain)


def _run_file(conversation: Any, path: Path) -> None:
    import_module("vardsl.apps.repl.commands").load_file(conversation, path)


def _version() -> str:
    return str(import_module("vardsl").__version__)


def _remark(text: str) -> None:
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def can_edit() -> bool:
    """Whether both ends are a terminal that a line editor can draw on."""
    if os.environ.get("TERM", "") in ("dumb", "unknown", "") and os.name != "nt":
        return False
    try:
        return sys.stdin.isatty() and sys.stdout.isatty()
    except (AttributeError, ValueError):
        return False


class _Early:
    """A prompt drawn before there is an editor: keys wait, unseen, until one reads them."""

    def __init__(self, prompt: str) -> None:
        self.attributes: Any = None
        self.drawn = True
        try:
            termios = import_module("termios")
            fd = sys.stdin.fileno()
            self.attributes = termios.tcgetattr(fd)
            quiet = termios.tcgetattr(fd)
            quiet[3] &= ~(termios.ECHO | termios.ICANON)
            termios.tcsetattr(fd, termios.TCSANOW, quiet)
        except (ImportError, OSError, ValueError):
            pass
        sys.stdout.write(prompt)
        sys.stdout.flush()

    def end(self, *, wipe: bool = False) -> None:
        """Leaves the line to the editor; `wipe`: to whatever is printed next."""
        if not self.drawn:
            return
        self.drawn = False
        sys.stdout.write("\r\x1b[K" if wipe else "\r")
        sys.stdout.flush()
        if self.attributes is not None:
            termios = import_module("termios")
            termios.tcsetattr(sys.stdin.fileno(), termios.TCSANOW, self.attributes)
