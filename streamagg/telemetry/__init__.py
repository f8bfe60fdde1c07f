"""Metrics, health, logs and the streams they go to, whatever the program does.

Imports model. Begin with ``table``, where every metric is a row.
"""
