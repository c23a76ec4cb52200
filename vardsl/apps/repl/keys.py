"""The keys of the prompt: what they do beyond what the line editor gives."""

from __future__ import annotations

import time
from collections.abc import Callable
from importlib import import_module
from typing import Any

from prompt_toolkit.application import get_app, run_in_terminal
from prompt_toolkit.buffer import Buffer
from prompt_toolkit.document import Document
from prompt_toolkit.enums import DEFAULT_BUFFER
from prompt_toolkit.filters import (
    Condition,
    Filter,
    completion_is_selected,
    emacs_insert_mode,
    emacs_mode,
    has_completions,
    has_focus,
    has_selection,
    vi_insert_mode,
)
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.key_binding.key_processor import KeyProcessor

from vardsl.apps.repl.lines import is_command

# Two keys that a terminal sends as one (Alt-Enter) arrive together, those of a hand do not.
TOGETHER = 0.03


def _editing() -> Any:
    """What knows the text's brackets; loaded at the first key that needs it, not before the first prompt."""
    return import_module("vardsl.assist.editing")


class Recall:
    """Up and Down: entries of the history that start with what stood before the cursor."""

    def __init__(self) -> None:
        self.prefix = ""
        self.text: str | None = None
        self.next: int | None = None

    def search(self, buffer: Buffer, step: int) -> None:
        """Goes to the next entry in a direction; the cursor comes to the line it is reached from."""
        if self.text != buffer.text:
            self.prefix = buffer.document.text_before_cursor if buffer.text.strip() else ""
        lines = buffer._working_lines
        at = buffer.working_index
        if step > 0 and at == len(lines) - 1 and not buffer.text and self.next is not None:
            at, self.next = self.next - 1, None
        current = buffer.text
        at += step
        while 0 <= at < len(lines):
            if lines[at].startswith(self.prefix) and lines[at] != current:
                buffer.go_to_history(at)
                break
            at += step
        else:
            return
        text = buffer.text
        if step < 0 and "\n" in text:
            buffer.cursor_position = text.index("\n")
        else:
            buffer.cursor_position = len(text)
        self.text = text

    def accepted(self, buffer: Buffer) -> None:
        """After an entry is run again, Down gives the one that followed it."""
        lines, at = buffer._working_lines, buffer.working_index
        old = at < len(lines) - 1
        self.next = at + 1 if old else None
        self.text = None


def bindings(recall: Recall, times: Times, show_help: Callable[[str], None]) -> KeyBindings:
    """All of the prompt's own keys."""
    keys = KeyBindings()
    typing = has_focus(DEFAULT_BUFFER)
    inserting = typing & (emacs_insert_mode | vi_insert_mode)
    _enter(keys, typing, recall, times)
    _history(keys, typing, recall)
    _brackets(keys, inserting)
    _tab(keys, inserting)

    @keys.add("escape", "_", filter=typing & emacs_mode, save_before=lambda event: False)
    def _redo(event: KeyPressEvent) -> None:
        event.current_buffer.redo()

    @keys.add("f1", filter=typing)
    def _help(event: KeyPressEvent) -> None:
        document = event.current_buffer.document
        word = document.get_word_under_cursor() or document.get_word_before_cursor()
        run_in_terminal(lambda: show_help(word))

    @keys.add("c-c", filter=typing & has_completions)
    def _close_menu(event: KeyPressEvent) -> None:
        event.current_buffer.cancel_completion()
        event.app.exit(exception=KeyboardInterrupt, style="class:aborting")

    return keys


def _run(buffer: Buffer, recall: Recall) -> None:
    recall.accepted(buffer)
    buffer.validate_and_handle()


def _new_line(buffer: Buffer) -> None:
    buffer.insert_text("\n" + _editing().indentation(buffer.document.text_before_cursor))


def _enter(keys: KeyBindings, typing: Filter, recall: Recall, times: Times) -> None:
    @keys.add("enter", filter=typing & completion_is_selected)
    def _take(event: KeyPressEvent) -> None:
        event.current_buffer.complete_state = None

    @keys.add("enter", filter=typing & ~completion_is_selected & ~has_selection)
    @keys.add("c-j", filter=typing)
    def _enter_(event: KeyPressEvent) -> None:
        buffer = event.current_buffer
        text = buffer.text
        if is_command(text) or not import_module("vardsl.assist.paste").goes_on(text):
            _run(buffer, recall)
        else:
            if not buffer.document.text_after_cursor.strip():
                buffer.cursor_position = len(text)
            _new_line(buffer)

    @keys.add("escape", "enter", filter=typing)
    def _alt_enter(event: KeyPressEvent) -> None:
        if times.apart:
            _run(event.current_buffer, recall)
        else:
            _new_line(event.current_buffer)


class Times:
    """When the last two keys were pressed."""

    def __init__(self) -> None:
        self.times = [0.0, 0.0]

    def watch(self, processor: KeyProcessor) -> None:
        """Notes the time of every key that this processor gets."""
        processor.before_key_press += self._tick

    def _tick(self, _: object) -> None:
        self.times = [self.times[1], time.monotonic()]

    @property
    def apart(self) -> bool:
        """Whether there was time between the last two keys."""
        before, now = self.times
        return bool(before) and now - before > TOGETHER


def _history(keys: KeyBindings, typing: Filter, recall: Recall) -> None:
    on_first = Condition(lambda: get_app().current_buffer.document.on_first_line)
    on_last = Condition(lambda: get_app().current_buffer.document.on_last_line)
    recalling = Condition(lambda: recall.text is not None and recall.text == get_app().current_buffer.text)
    insert = typing & (emacs_mode | vi_insert_mode) & ~has_selection

    @keys.add("up", filter=insert & on_first & ~completion_is_selected)
    @keys.add("c-p", filter=insert & on_first & ~completion_is_selected)
    def _up(event: KeyPressEvent) -> None:
        event.current_buffer.cancel_completion()
        recall.search(event.current_buffer, -1)

    @keys.add("down", filter=insert & on_last & ~completion_is_selected & (recalling | ~has_completions))
    @keys.add("c-n", filter=insert & on_last & ~completion_is_selected & (recalling | ~has_completions))
    def _down(event: KeyPressEvent) -> None:
        event.current_buffer.cancel_completion()
        recall.search(event.current_buffer, 1)

    @keys.add("down", filter=insert & has_completions & ~completion_is_selected & ~recalling)
    def _into_menu(event: KeyPressEvent) -> None:
        event.current_buffer.complete_next()


def _brackets(keys: KeyBindings, inserting: Filter) -> None:
    def close(event: KeyPressEvent) -> None:
        buffer, closer = event.current_buffer, event.data
        before = buffer.document.text_before_cursor
        blanks = _editing().dedentation(before, closer)
        if blanks is not None:
            line = before.rfind("\n") + 1
            after = buffer.document.text_after_cursor
            text = before[:line] + blanks + closer
            buffer.document = Document(text + after, len(text))
        else:
            buffer.insert_text(closer)

    for closer in ")]}":
        keys.add(closer, filter=inserting)(close)


def _tab(keys: KeyBindings, inserting: Filter) -> None:
    at_start = Condition(lambda: not get_app().current_buffer.document.current_line_before_cursor.strip())

    @keys.add("tab", filter=inserting & at_start & ~has_completions)
    def _indent(event: KeyPressEvent) -> None:
        event.current_buffer.insert_text(" " * _editing().INDENT)

    @keys.add("s-tab", filter=inserting & at_start & ~has_completions)
    def _dedent(event: KeyPressEvent) -> None:
        buffer = event.current_buffer
        line = buffer.document.current_line_before_cursor
        buffer.delete_before_cursor(min(_editing().INDENT, len(line)))

    @keys.add("backspace", filter=inserting & at_start & ~has_selection)
    def _backspace(event: KeyPressEvent) -> None:
        buffer = event.current_buffer
        column = len(buffer.document.current_line_before_cursor)
        buffer.delete_before_cursor((column - 1) % _editing().INDENT + 1 if column else 1)
