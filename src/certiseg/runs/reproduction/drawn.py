"""The first draws of one picture, in parts: what every line of a table looks at."""

from __future__ import annotations

from collections.abc import Sequence

from certiseg.votes import VoteCounts


class Drawn:
    """Votes of draws 0, 1, 2, ... in parts that follow each other.

    seconds: each part took.
    """

    def __init__(self, parts: Sequence[VoteCounts], seconds: Sequence[float]) -> None:
        self._parts, self._seconds = list(parts), list(seconds)
        self._stops: list[int] = []
        for part in self._parts:
            self._stops.append(part.trials + (self._stops[-1] if self._stops else 0))

    def between(self, start: int, stop: int) -> VoteCounts:
        """Votes of draws start .. stop - 1; both must be ends of parts."""
        first = 0 if start == 0 else self._stops.index(start) + 1
        last = self._stops.index(stop)
        votes = self._parts[first]
        for part in self._parts[first + 1 : last + 1]:
            votes = votes + part
        return votes

    def sizes(self) -> tuple[int, int]:
        """Numbers of components and of classes."""
        return self._parts[0].num_components, self._parts[0].num_classes

    def seconds(self, stop: int) -> float:
        """What draws 0 .. stop - 1 took."""
        return sum(self._seconds[: self._stops.index(stop) + 1])

    def again(self) -> Replay:
        """The same draws, handed out from the first one on."""
        return Replay(self)


class Replay:
    """A ``VoteSource`` of draws that were made before (theory T7 asks for them one after another).

    The certificate is the one that the live draws would have given.
    """

    def __init__(self, drawn: Drawn) -> None:
        self._drawn, self._given = drawn, 0

    def sizes(self) -> tuple[int, int]:
        return self._drawn.sizes()

    def more(self, draws: int) -> VoteCounts:
        votes = self._drawn.between(self._given, self._given + draws)
        self._given += draws
        return votes
