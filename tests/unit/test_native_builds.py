"""The other ways of building the parts in C: what cannot be built or is missing is no success."""

from pathlib import Path

import pytest

from supply.wheels import MODULES
from tests.native import __main__ as native
from tests.native.build import BuildFailed, build


def test_a_module_that_is_left_out_is_a_failure(tmp_path: Path) -> None:
    with pytest.raises(BuildFailed, match=f"false has not built {', '.join(MODULES)}"):
        build(tmp_path / "built", "false")


def test_every_module_has_its_folder_of_sources() -> None:
    setup = (native.DIRECTORY.parents[1] / "setup.py").read_text()
    assert [module for module in MODULES if f'"{module}"' not in setup] == []
    assert setup.count('extension("') == len(MODULES)


@pytest.mark.parametrize("in_ci", [False, True])
@pytest.mark.parametrize(
    ("name", "missing"), [("clang", "clang"), ("address", "gcc"), ("arm64", "aarch64-linux-gnu-gcc")]
)
def test_a_missing_compiler_is_named(
    name: str, missing: str, in_ci: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(native, "IN_CI", in_ci)
    assert native.main([name]) == int(in_ci)
    assert f"NOT TESTED: {missing} is not there (Debian: apt install" in capsys.readouterr().err
