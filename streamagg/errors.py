"""The errors a user can meet, one small tree, and the exit code of each.

A message is one or two sentences: what is wrong, and what to do about it.
The command line prints it without a traceback and exits with ``exit_code``.
"""

from enum import IntEnum


class ExitCode(IntEnum):
    """What the process exits with."""

    OK = 0
    FAILURE = 1
    USAGE = 2
    UNREACHABLE = 3
    DIFFERENT = 4
    WORKERS_DYING = 5
    TOO_MANY_USERS = 6
    NOTHING_COUNTED = 7
    INTERRUPTED = 130


class StreamaggError(Exception):
    """Root of every error that streamagg raises on purpose."""

    exit_code = ExitCode.FAILURE


class FileUnreadable(StreamaggError):
    """A file cannot be read to its end."""


class SettingsError(StreamaggError):
    """A setting is unknown, malformed, or impossible together with another one."""

    exit_code = ExitCode.USAGE


class TopicError(StreamaggError):
    """A topic is missing, or is not what streamagg can use."""

    exit_code = ExitCode.USAGE


class PlaceError(StreamaggError):
    """A directory or a database is missing, or is not what streamagg can use."""

    exit_code = ExitCode.USAGE


class CheckpointError(StreamaggError):
    """The committed checkpoint cannot be continued: other settings, another version, lost history."""

    exit_code = ExitCode.USAGE


class Unreachable(StreamaggError):
    """Who is asked does not answer; asking again may help."""

    exit_code = ExitCode.UNREACHABLE


class KafkaUnreachable(Unreachable):
    """No broker answers, or it refuses the connection or the credentials."""


class AccessDenied(StreamaggError):
    """This user is known, and lacks a right that streamagg needs."""

    exit_code = ExitCode.USAGE


class KafkaFailed(StreamaggError):
    """Kafka answered with an error that cannot be retried."""


class HeldUp(StreamaggError):
    """Records that a reading must not end without cannot be read, as behind an open transaction."""


class InputSpent(StreamaggError):
    """What can be read only once has been read, and not all that follows from it is published."""


class DataDiffers(StreamaggError):
    """Published counts differ from a recount."""

    exit_code = ExitCode.DIFFERENT


class WorkersKeepDying(StreamaggError):
    """The budget of restarts is used up."""

    exit_code = ExitCode.WORKERS_DYING


class TooManyUsers(StreamaggError):
    """A window has more unique users than the ceiling that was set."""

    exit_code = ExitCode.TOO_MANY_USERS


class TooManyGroups(TooManyUsers):
    """The same of groups."""


class NothingCounted(StreamaggError):
    """There were records and none was counted, or none as it is meant; or there was nothing to compare."""

    exit_code = ExitCode.NOTHING_COUNTED
