"""What pyproject.toml cannot say: the parts in C, left out where there is no compiler."""

from pathlib import Path

from setuptools import Extension, setup


def extension(name: str, folder: str, libraries: list[str]) -> Extension:
    """A module of all the source files and headers of a folder."""
    return Extension(
        name,
        sources=sorted(map(str, Path(folder).glob("*.c"))),
        depends=sorted(map(str, Path(folder).glob("*.h"))),
        # Contracted products would round fractions of seconds in another way than numpy does.
        extra_compile_args=["-O3", "-ffp-contract=off", "-fno-math-errno", "-fvisibility=hidden"],
        define_macros=[("Py_LIMITED_API", "0x030B0000"), ("PY_SSIZE_T_CLEAN", None)],
        libraries=libraries,
        py_limited_api=True,
        optional=True,
    )


setup(
    ext_modules=[
        extension("streamagg.decode._scanner", "streamagg/decode/scanner", ["m"]),
        extension("streamagg.core._stepper", "streamagg/core/stepper", []),
        extension("streamagg.sources.directory._csv", "streamagg/sources/directory/csv", []),
        extension("streamagg.sources.kafka._fetcher", "streamagg/sources/kafka/fetcher", ["dl", "pthread"]),
    ],
    options={"bdist_wheel": {"py_limited_api": "cp311"}},
)
