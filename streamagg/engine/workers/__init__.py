"""Unmarshallers and aggregators, as processes or in this one.

Imports core, decode, sources, telemetry and model. Begin with ``contract``; ``process`` is what a process
runs.
"""
