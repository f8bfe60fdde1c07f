"""A long run with faults: right to the end, and no bigger at the end than in the middle."""
