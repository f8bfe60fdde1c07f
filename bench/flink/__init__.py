"""What ``streamagg flink`` is worth: ``python -m bench.flink``.

``proof``, ``restored``, ``later``: a recount agrees with it: as it is, killed or rescaled, on late records.
``lateness``: it and Flink SQL on these. ``large``, ``small``: speed beside the local engine and Flink SQL.
``profile``: where the time goes.

Begin with ``__main__``.
"""
