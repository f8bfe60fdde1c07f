"""What is known of the terminal behind standard error."""

import os
import sys


def can_draw() -> bool:
    """Lines can be drawn there again and again, and somebody looks at them."""
    if sys.stderr is None or not sys.stderr.isatty() or not in_foreground(sys.stderr.fileno()):
        return False
    in_ci = os.environ.get("CI", "").lower() not in ("", "0", "false")
    return not in_ci and os.environ.get("TERM") not in ("dumb", "unknown")


def in_foreground(terminal: int) -> bool:
    """It belongs to this process at the moment, and not to the shell that has sent it away."""
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return True


def same_terminal(one: int, other: int) -> bool:
    """Both descriptors write to the same one."""
    return os.isatty(one) and os.isatty(other) and os.fstat(one).st_rdev == os.fstat(other).st_rdev


def size(terminal: int) -> tuple[int, int]:
    """Columns and rows; the usual ones where it does not say."""
    try:
        columns, rows = os.get_terminal_size(terminal)
    except OSError:
        columns, rows = 0, 0
    return columns or 80, rows or 24
