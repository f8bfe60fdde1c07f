"""What stands in a Dockerfile, as far as this project's needs."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

PATH: Final = Path(__file__).resolve().parents[2] / "docker" / "Dockerfile"


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction, continued lines joined."""

    word: str
    """``RUN``, ``COPY``, …"""
    text: str
    """What follows."""

    @property
    def exec_form(self) -> list[str]:
        """The command that is written as a JSON array at the end; raises ValueError for another form."""
        found: list[str] = json.loads(self.text[self.text.index("[") :])
        return found


@dataclass(frozen=True, slots=True)
class Stage:
    """What begins with FROM."""

    base: str
    name: str
    """Empty without AS."""
    instructions: list[Instruction] = field(default_factory=list)

    def all(self, word: str) -> list[Instruction]:
        """The instructions of a word, in order."""
        return [each for each in self.instructions if each.word == word]

    def only(self, word: str) -> Instruction:
        """The one instruction of a word; raises ValueError if there are none or several."""
        (found,) = self.all(word)
        return found

    @classmethod
    def begun(cls, text: str) -> Self:
        """From what follows FROM."""
        base, _, name = text.partition(" AS ")
        return cls(base, name)


def stages(path: Path = PATH) -> list[Stage]:
    """The stages of a file, comments left out."""
    lines = [line for line in path.read_text().splitlines() if line and not line.startswith("#")]
    found: list[Stage] = []
    for line in "\n".join(lines).replace("\\\n", "").splitlines():
        word, _, text = line.partition(" ")
        if word == "FROM":
            found.append(Stage.begun(text))
        else:
            found[-1].instructions.append(Instruction(word, text.strip()))
    return found
