"""The commands of docs/groups.md print what stands below them there."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

PAGE = (Path(__file__).parents[2] / "docs" / "groups.md").read_text("utf-8")
BLOCKS = re.findall(r"```\n(\$ .*?)```", PAGE, re.DOTALL)


def test_the_examples_print_what_the_page_says(tmp_path: Path) -> None:
    assert BLOCKS
    for block in BLOCKS:
        for shown in block.removeprefix("$ ").split("\n$ "):
            command, _, output = shown.partition("\n")
            program, *rest = shlex.split(command)
            assert program == "streamagg"
            ended = subprocess.run(
                [sys.executable, "-m", "streamagg", *rest], cwd=tmp_path, capture_output=True, check=False
            )
            assert ended.returncode == 0, ended.stderr
            assert ended.stdout.decode().rstrip("\n") == output.rstrip("\n")
