"""A seeded simulator: the real pipeline on a simulated log, broker, workers and clock.

One seed decides everything: the log, where blocks are cut, who runs next, what fails and when.
"""
