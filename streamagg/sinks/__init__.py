"""Where results go, together with the checkpoint.

Imports model, core, kafka and telemetry, and knows no engine. Begin with ``contract``.
"""
