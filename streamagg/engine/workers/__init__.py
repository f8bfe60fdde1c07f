"""Unmarshallers and aggregators, as processes or in this one.

Imports core, decode, sources and telemetry. Begin with ``contract``; ``process`` is what a process runs.
"""
