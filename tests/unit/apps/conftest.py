"""A prompt without a terminal: keys go in through a pipe, blocks of input come out."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from prompt_toolkit.application import create_app_session
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.output import DummyOutput

from vardsl.apps.repl.config import Settings
from vardsl.apps.repl.conversation import Conversation
from vardsl.apps.repl.loop import Behind
from vardsl.apps.repl.prompt import Prompt
from vardsl.session import Session

BETWEEN = 0.03


class Keyboard:
    """Types keys at a prompt. Between two texts there is time for menus and previews."""

    def __init__(self, prompt: Prompt, pipe: Any, conversation: Conversation) -> None:
        self.prompt = prompt
        self.pipe = pipe
        self.conversation = conversation

    @property
    def buffer(self) -> Any:
        return self.prompt.session.default_buffer

    def type(self, *texts: str | Callable[[], object]) -> str:
        """What `read` gives for these keys; a function among them is called after the keys before it."""
        problems: list[BaseException] = []

        def work() -> None:
            time.sleep(BETWEEN)
            try:
                for text in texts:
                    if callable(text):
                        text()
                    else:
                        self.pipe.send_text(text)
                    time.sleep(BETWEEN)
            except BaseException as problem:
                problems.append(problem)
            finish = time.monotonic() + 1
            while self.prompt.session.app.is_running and time.monotonic() < finish:
                time.sleep(0.01)
            if self.prompt.session.app.is_running:
                problems.append(AssertionError(f"no end of input with {self.buffer.text!r}"))
                self.pipe.send_text("\x03")

        thread = threading.Thread(target=work)
        thread.start()
        try:
            return self.prompt.read()
        finally:
            thread.join()
            if problems:
                raise problems[0]

    def wait_for(self, condition: Callable[[], object]) -> Callable[[], None]:
        """For `type`: goes on when the condition holds."""

        def wait() -> None:
            end = time.monotonic() + 10  # on a busy machine
            while not condition():
                assert time.monotonic() < end, "it did not come about"
                time.sleep(0.005)

        return wait

    def pause(self) -> None:
        """For `type`: long enough that two keys are two."""
        time.sleep(0.12)

    def menu(self) -> list[str]:
        """The texts in the completion menu that is open."""
        state = self.buffer.complete_state
        return [c.text for c in state.completions] if state is not None else []

    def toolbar(self) -> str:
        """The text of the toolbar."""
        return "".join(part[1] for part in self.prompt._toolbar())


@pytest.fixture
def conversation() -> Conversation:
    return Conversation(Session(seed=0), Settings(), "never", plain=True)


@pytest.fixture
def keyboard(tmp_path: Path, conversation: Conversation) -> Iterator[Keyboard]:
    settings = conversation.settings
    with create_pipe_input() as pipe, create_app_session(input=pipe, output=DummyOutput()):
        behind = Behind(lambda: conversation)
        prompt = Prompt(behind, settings, tmp_path / "history", "never", input=pipe, output=DummyOutput())
        behind.wait()
        behind.thread.join()
        yield Keyboard(prompt, pipe, conversation)
