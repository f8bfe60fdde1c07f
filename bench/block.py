"""One figure of the report: what stands between its markers, and its chart."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Block:
    """A chart, if there is one, then text in Markdown."""

    name: str
    text: str
    title: str = ""
    svg: str | None = None

    @property
    def chart(self) -> str:
        """The file name of the chart."""
        return f"{self.name}.svg"

    @property
    def markdown(self) -> str:
        """What stands in the report."""
        return self.text if self.svg is None else f"![{self.title}](docs/charts/{self.chart})\n\n{self.text}"


def source(command: str, made: str) -> str:
    """Where figures come from; ``made`` is a time in ISO 8601."""
    return f"`{command}`, {made[:10]}"
