"""Metrics, health, logs and the streams they go to, whatever the program does.

Imports model, errors and events. Begin with ``table``, where every metric is a row.
"""
