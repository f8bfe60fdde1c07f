"""Event time only: no I/O, no wall clock, no logging, no processes."""
