"""Inputs and outputs that are no topics: beside what people use, and by themselves; see ``__main__``."""
