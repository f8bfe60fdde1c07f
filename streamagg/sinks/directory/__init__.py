"""A directory as sink: JSON lines and Parquet, committed by the rename of one manifest.

Imports model and core. Begin with ``manifest``, then ``output``.
"""
