"""How much may wait in memory: what is beyond that is refused before it is read."""

from http import HTTPStatus

from streamagg.http.problems import Problem, overloaded


class Room:
    """Bytes that are taken and given back."""

    def __init__(self, most_bytes: int) -> None:
        self.most_bytes = most_bytes
        self.taken = 0

    def take(self, size: int) -> None:
        """Raises Problem (503) when there is no room for so many."""
        if self.taken + size > self.most_bytes:
            raise overloaded("More records come than can be written: send the same again later.")
        self.taken += size

    def give(self, size: int) -> None:
        """They are free again."""
        self.taken -= size


class Held:
    """What one request has taken of a room."""

    __slots__ = ("_held", "_room")

    def __init__(self, room: Room) -> None:
        self._room = room
        self._held = 0

    def more(self, size: int) -> None:
        """Take more. Raises Problem: 503, or 413 if there never is as much room."""
        if self._held + size > self._room.most_bytes:
            most = self._room.most_bytes
            text = f"The body takes more than the {most} bytes that may wait: send it in several."
            raise Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, text)
        self._room.take(size)
        self._held += size

    def give_back(self) -> None:
        """All of it is free again."""
        self._room.give(self._held)
