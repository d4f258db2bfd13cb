"""The conversation of `edge-agent setup` with a person, or with a file of answers."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from rich.prompt import Confirm, Prompt, PromptBase

from edge_agent.cli.exit_codes import CommandError
from edge_agent.cli.options import out
from edge_agent.cli.phrases import Phrase, phrase, say, say_error
from edge_agent.errors import RequestRefused

PromptOf = TypeVar("PromptOf", bound=PromptBase[Any])


@dataclass(frozen=True, slots=True)
class Dialogue:
    """Asks and tells in one language. With `is_asking` False nobody is there to answer: a file has all answers."""

    language: str
    is_asking: bool

    def begin_step(self, number: int, steps: int, title: Phrase) -> None:
        """Prints the heading of a step."""
        out.print(f"\n[bold]{number}/{steps}[/bold] {say(title, self.language)}")

    def tell(self, text: Phrase | str) -> None:
        """Prints what a step found or did."""
        out.print(f"    {say(text, self.language)}", markup=False, soft_wrap=True)

    def tell_error(self, error: CommandError) -> None:
        """Prints why a step stopped, and what to do."""
        out.print(f"    {say_error(error, self.language)}", style="red", markup=False, soft_wrap=True)

    def ask(self, question: Phrase, given: str, default: str = "") -> str:
        """Returns the given answer, else the person's own one, which is `default` where nothing was typed."""
        if given or not self.is_asking:
            return given or default
        return self._prompt(Prompt, question, show_default=bool(default))(default=default).strip()

    def choose(self, question: Phrase, choices: Sequence[str]) -> str:
        """Returns one of the choices, the first one where nothing was typed."""
        return self._prompt(Prompt, question, choices=list(choices))(default=choices[0])

    def confirm(self, question: Phrase) -> bool:
        """Returns the person's yes or no; a file of answers says no to everything that it does not name."""
        return self.is_asking and self._prompt(Confirm, question)(default=True)

    def _prompt(self, kind: type[PromptOf], question: Phrase, **options: Any) -> PromptOf:
        """Returns a prompt whose own words, on an answer that it does not take, are in this language, too."""
        prompt = kind(f"    {say(question, self.language)}", console=out, **options)
        again = phrase("Type y or n") if isinstance(prompt, Confirm) else phrase("Type one of the words in brackets")
        prompt.validate_error_message = prompt.illegal_choice_message = f"    {say(again, self.language)}"
        return prompt

    def require(self, answer: str, key: str) -> str:
        """Returns the answer. Raises RequestRefused where it is empty."""
        if not answer:
            raise RequestRefused(
                phrase("{key} has no answer", key=key), phrase("give one, and run this again: what is done stays done")
            )
        return answer
