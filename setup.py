"""What pyproject.toml cannot say: the reader in C, left out where there is no compiler."""

from setuptools import Extension, setup

SOURCES = "streamagg/decode/scanner"

setup(
    ext_modules=[
        Extension(
            "streamagg.decode._scanner",
            sources=[f"{SOURCES}/scanner.c"],
            depends=[f"{SOURCES}/{name}.h" for name in ("event_time", "json", "xxh3")],
            # Contracted products would round fractions of seconds in another way than numpy does.
            extra_compile_args=["-O3", "-ffp-contract=off", "-fno-math-errno"],
            libraries=["m"],
            py_limited_api=True,
            optional=True,
        )
    ],
    options={"bdist_wheel": {"py_limited_api": "cp311"}},
)
