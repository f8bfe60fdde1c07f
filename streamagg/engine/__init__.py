"""The pipeline: processes that read, decode and count, and the one that leads them.

Imports everything but settings, tools, panel, demo and cli. Begin with ``run``, then
``leadership.coordinator`` and ``session.session``.
"""
