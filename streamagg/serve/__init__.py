"""``serve``: keeps what was published, and answers questions about any range over HTTP.

``follow`` reads what is published, ``store`` keeps it in DuckDB, ``questions`` are answered from there, and
``api`` puts them on HTTP. Shares no code with the engine, but formats: what is published, and the theta
sketches of Apache DataSketches. Imports http, kafka, model and telemetry. Begin with ``run``.
"""
