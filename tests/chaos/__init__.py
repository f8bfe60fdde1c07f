"""Breaks a running streamagg on purpose and compares what it published with the truth: ``make chaos``."""
