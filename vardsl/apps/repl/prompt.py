"""The prompt with a line editor: history, completion, colours and the toolbar around one line of reading."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from prompt_toolkit import PromptSession
from prompt_toolkit.auto_suggest import AutoSuggest, Suggestion
from prompt_toolkit.buffer import Buffer
from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.cursor_shapes import ModalCursorShapeConfig
from prompt_toolkit.document import Document
from prompt_toolkit.enums import EditingMode
from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.history import History
from prompt_toolkit.input import Input
from prompt_toolkit.key_binding.vi_state import InputMode
from prompt_toolkit.output import ColorDepth, Output
from prompt_toolkit.shortcuts import CompleteStyle

from vardsl.apps.repl.colours import Brackets, InputLexer, style
from vardsl.apps.repl.config import Settings
from vardsl.apps.repl.history import HistoryFile
from vardsl.apps.repl.keys import Recall, Times, bindings
from vardsl.apps.repl.lines import is_command
from vardsl.display.ansi import use_colour

SLOW = 0.1
MENU = 30
LONG = 4000


class Prompt:
    """Reads blocks of input from a terminal."""

    def __init__(
        self,
        behind: Any,
        settings: Settings,
        history: Path,
        colour: str = "auto",
        *,
        in_thread: bool = False,
        before: Any = None,
        input: Input | None = None,
        output: Output | None = None,
    ) -> None:
        self.behind = behind
        self.settings = settings
        self.in_thread = in_thread
        self.before = before
        self.recall = Recall()
        self.times = Times()
        self.help = _Assistance()
        self.theme = settings.theme if use_colour(sys.stdout, colour, os.environ) else "none"
        depth = ColorDepth.DEPTH_1_BIT if self.theme == "none" else None
        entries = _Entries(HistoryFile(history, settings.history))
        self.session: PromptSession[str] = PromptSession(
            message=lambda: [("class:prompt", settings.prompt)],
            multiline=True,
            prompt_continuation=self._continuation,
            lexer=InputLexer(),
            completer=_Completer(self),
            complete_while_typing=True,
            complete_style=CompleteStyle.COLUMN,
            auto_suggest=_Ghost(self, entries),
            history=entries,
            key_bindings=bindings(self.recall, self.times, self._show_help),
            bottom_toolbar=self._toolbar if settings.toolbar else None,
            style=style(self.theme),
            include_default_pygments_style=False,
            color_depth=depth,
            cursor=ModalCursorShapeConfig() if settings.editing == "vi" else None,
            input_processors=[Brackets(lambda: settings.brackets)],
            editing_mode=EditingMode.VI if settings.editing == "vi" else EditingMode.EMACS,
            reserve_space_for_menu=6,
            enable_suspend=True,
            tempfile_suffix=".vd",
            input=input,
            output=output,
        )
        app = self.session.app
        app.ttimeoutlen = 0.05
        app.renderer.cpr_not_supported_callback = None  # no warning: all works without the cursor's place
        self.times.watch(app.key_processor)
        self.session.default_buffer.on_text_changed += self._text_changed
        behind.when_ready.append(self.help.attach)
        self.help.changed = app.invalidate
        self.help.there = self._catch_up

    def read(self) -> str:
        """The next block. Raises EOFError and KeyboardInterrupt."""
        self._apply_settings()
        if self.before is not None:
            self.before.end()
        return self.session.prompt(
            in_thread=self.in_thread, handle_sigint=not self.in_thread, pre_run=self.behind.start
        )

    def _catch_up(self) -> None:
        """Help is there now: for what was typed before it, too. Called from another thread."""
        app, buffer = self.session.app, self.session.default_buffer

        def now() -> None:
            if buffer.text and app.is_running:
                self._text_changed(buffer)
                buffer.start_completion(complete_event=CompleteEvent(text_inserted=True))

        loop = app.loop
        if loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop has ended since
                loop.call_soon_threadsafe(now)

    def _apply_settings(self) -> None:
        settings, session = self.settings, self.session
        session.bottom_toolbar = self._toolbar if settings.toolbar else None
        mode = EditingMode.VI if settings.editing == "vi" else EditingMode.EMACS
        if session.editing_mode != mode:
            session.editing_mode = mode
        if self.theme not in ("none", settings.theme):
            self.theme = settings.theme
            session.style = style(self.theme)

    def _continuation(self, width: int, number: int, wrapped: int) -> StyleAndTextTuples:
        text = "" if wrapped else self.settings.continuation
        return [("class:continuation", text.rjust(width)[-width:] if width else "")]

    # ---- the toolbar ---------------------------------------------------------------------------------------
    def _text_changed(self, buffer: Buffer) -> None:
        if self.settings.preview:
            self.help.request(buffer.text)

    def _toolbar(self) -> StyleAndTextTuples:
        document = self.session.default_buffer.document
        mode = self._mode()
        if document.text.strip() and not is_command(document.text):
            signature = self.help.signature(near(document.text_before_cursor))
            preview = self.help.preview(document.text) if self.settings.preview else []
            if signature or preview:
                return mode + signature + ([("", "  ")] if signature and preview else []) + preview
        return mode + self._facts()

    def _mode(self) -> StyleAndTextTuples:
        if self.settings.editing != "vi":
            return []
        state = self.session.app.vi_state.input_mode
        return [("bold", {InputMode.INSERT: "I ", InputMode.NAVIGATION: "N "}.get(state, "R "))]

    def _facts(self) -> StyleAndTextTuples:
        conversation = self.behind.conversation
        if conversation is None:
            return [("", "F1 help")]
        parts = ["F1 help", conversation.session.ctx.default_dtype.name]
        n = sum(1 for name in conversation.session if name not in ("_", "ans"))
        if n:
            parts.append(f"{n} name{'s' if n != 1 else ''}")
        if conversation.seconds > SLOW:
            parts.append(f"last {conversation.seconds:.1f} s")
        return [("", " · ".join(parts))]

    def _show_help(self, word: str) -> None:
        conversation = self.behind.wait()
        self.help.commands.help_on(conversation, word)


class _Assistance:
    """What helps while one types; silent until the session is there."""

    def __init__(self) -> None:
        self.conversation: Any = None
        self.worker: Any = None
        self.complete: Any = None
        self.hover: Any = None
        self.commands: Any = None
        self.changed: Callable[[], None] = lambda: None
        self.there: Callable[[], None] = lambda: None
        self.known: tuple[str, StyleAndTextTuples] = ("", [])

    def attach(self, conversation: Any) -> None:
        """Loads all that helps; runs in the thread that made the session."""
        from importlib import import_module

        complete = import_module("vardsl.assist.complete")
        self.hover = import_module("vardsl.assist.hover")
        preview = import_module("vardsl.assist.preview")
        self.commands = import_module("vardsl.apps.repl.commands")
        self.conversation = conversation
        self.complete = complete
        previews = preview.Previews(
            lambda: self.conversation.session.names(), lambda: self.conversation.session.ctx.default_dtype
        )
        self.worker = preview.Worker(previews, lambda: self.changed())
        self.changed()
        self.there()
        self.hover.load_documentation()

    def request(self, text: str) -> None:
        if self.worker is not None and text.strip() and not is_command(text):
            self.worker.request(text)

    def preview(self, text: str) -> StyleAndTextTuples:
        found = self.worker.answer(text) if self.worker is not None else None
        if found is None:
            return []
        return [("class:toolbar.preview" if found.ok else "class:toolbar.problem", _short("→ " + found.text))]

    def signature(self, before: str) -> StyleAndTextTuples:
        """The signature of the call at the cursor, its present argument marked."""
        if self.conversation is None:
            return []
        if self.known[0] != before:
            self.known = (before, self._signature(before))
        return self.known[1]

    def _signature(self, before: str) -> StyleAndTextTuples:
        found = self.hover.signature_at(before, self.conversation.session.names())
        if found is None:
            return []
        parts: StyleAndTextTuples = [("", f"{found.name}(")]
        for k, text in enumerate(found.parameters):
            parts.append(("class:toolbar.active" if k == found.active else "", text))
            if k < len(found.parameters) - 1:
                parts.append(("", ", "))
        return [*parts, ("", ")")]


def near(before: str) -> str:
    """The last lines of a long text: what help while typing looks at."""
    return before if len(before) <= LONG else before[before.rfind("\n", 0, len(before) - LONG // 2) + 1 :]


def _short(text: str, width: int = 100) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"


class _Completer(Completer):
    """Completion from the live session, and of the prompt's own commands."""

    def __init__(self, prompt: Prompt) -> None:
        self.prompt = prompt

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Completion]:
        """What may replace the word before the cursor."""
        help_ = self.prompt.help
        if help_.complete is None or (complete_event.text_inserted and not self.prompt.settings.complete):
            return
        before = near(document.text_before_cursor)
        session = help_.conversation.session
        if before.lstrip().startswith((":", "?", "%")) and "\n" not in before:
            found = help_.commands.complete(help_.conversation, before)
        else:
            if complete_event.text_inserted and not _is_worth(before):
                return
            names = session.names()
            if complete_event.text_inserted and document.get_word_before_cursor() in names:
                return
            found = help_.complete.complete(before, names, folder=str(session.permissions.folder))
        # a menu that opens by itself is short: every row of it is measured at every key
        for c in found[:MENU] if complete_event.text_inserted else found:
            yield Completion(c.text, c.start - len(before), display=c.display or c.text, display_meta=c.note)


def _is_worth(before: str) -> bool:
    """Whether a menu opens by itself: where a word has begun, and behind a dot, a quote or a backslash."""
    last = before[-1:]
    if last.isdigit():
        return before[-2:-1].isalnum()
    return last.isalpha() or last in "_.\"'/\\" or before.endswith((" using ", " to "))


class _Entries(History):
    """The history file as the editor wants it; where it cannot be used, one warning and memory only."""

    def __init__(self, file: HistoryFile) -> None:
        super().__init__()
        self.file = file
        self.warned = False
        self.tail = ""

    def load_history_strings(self) -> Iterable[str]:
        """Entries, the newest first."""
        try:
            return reversed(self.file.load())
        except OSError as error:
            self._warn(error)
            return []

    def append_string(self, string: str) -> None:
        """Adds an entry, unless it is the last one again."""
        text = string.strip("\n")
        if text and text != self.tail and not (self._loaded_strings and self._loaded_strings[0] == text):
            super().append_string(text)
        self.tail = text

    def store_string(self, string: str) -> None:
        """Keeps an entry on disk."""
        try:
            self.file.append(string)
        except OSError as error:
            self._warn(error)

    def _warn(self, error: OSError) -> None:
        if not self.warned:
            self.warned = True
            sys.stderr.write(f"the history is not kept: {self.file.path}: {error.strerror or error}\n")


class _Ghost(AutoSuggest):
    """The rest of the latest entry that begins as what is typed, up to the end of its line."""

    def __init__(self, prompt: Prompt, entries: _Entries) -> None:
        self.prompt = prompt
        self.entries = entries

    def get_suggestion(self, buffer: Buffer, document: Document) -> Suggestion | None:
        """What would be added at the cursor."""
        text = document.text
        if not self.prompt.settings.suggest or not text.strip() or not document.is_cursor_at_the_end:
            return None
        for entry in self._newest_first():
            if entry.startswith(text) and len(entry) > len(text):
                rest = entry[len(text) :].split("\n", 1)[0]
                return Suggestion(rest) if rest else None
        return None

    def _newest_first(self) -> Iterator[str]:
        return iter(self.entries._loaded_strings)
