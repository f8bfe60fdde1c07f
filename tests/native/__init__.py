"""The parts in C, built in other ways than an installation does: by clang, with sanitizers, for arm64.

``python -m tests.native NAME``. Each way has a directory in ``.streamagg/native``, in which the package is
linked beside the modules that were built for it; what is installed is left as it is.
"""
