"""The pipeline: processes that read, decode and count, and the one that leads them.

Imports core, decode, sources, sinks, kafka, telemetry and model. Begin with ``run``, then
``leadership.coordinator`` and ``session.session``.
"""
