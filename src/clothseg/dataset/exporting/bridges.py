"""One ring of several: they are joined by the shortest bridges, lines that are passed there and back.

A bridge begins and ends at a corner, or at a point of the pixel grid on a horizontal or vertical side. All bridges
together are as short as possible (a minimum spanning tree, found as Borůvka found it in 1926). So they cross neither
one another nor such a side: from both ends of what they crossed, a shorter bridge would lead to one of their ends.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from scipy.cluster.hierarchy import DisjointSet

Ring = NDArray[np.float64]
Places = NDArray[np.int64]


@dataclass(frozen=True)
class _Places:
    """Where bridges can begin: the corners of all rings, and points between them.

    Attributes:
        points: `[N, 2]` x y, ring after ring.
        ring: `[N]`, number of the ring.
        is_corner: `[N]`.
    """

    points: Ring
    ring: Places
    is_corner: NDArray[np.bool_]


class _Stop(NamedTuple):
    """An end of a bridge: its place, its direction as an angle from the side before it, and the place of the other."""

    place: int
    angle: float
    other: int


def bridged(rings: Sequence[Ring]) -> Ring:
    """One ring `[M, 2]` of rings `[N, 2]` whose insides are all on the same side of their paths."""
    if len(rings) == 1:
        return rings[0]
    places = _places(rings)
    bridges = _shortest_bridges(places)
    places.is_corner[bridges] = True
    return _walk(places, bridges)


def _places(rings: Sequence[Ring]) -> _Places:
    here = np.concatenate(rings)
    ahead = np.concatenate([np.roll(ring, -1, axis=0) for ring in rings])
    step = ahead - here
    even = (here == np.rint(here)).all(axis=1) & (step == np.rint(step)).all(axis=1) & (step == 0).any(axis=1)
    counts = np.where(even, np.abs(step).max(axis=1), 1).astype(np.int64)
    counts = np.maximum(counts, 1)  # a corner that comes twice in succession
    side = np.repeat(np.arange(len(here)), counts)
    along = np.arange(len(side)) - (np.cumsum(counts) - counts)[side]
    points = here[side] + np.sign(step)[side] * along[:, None]
    number = np.repeat(np.arange(len(rings)), [len(ring) for ring in rings])
    return _Places(points, number[side], along == 0)


def _shortest_bridges(places: _Places) -> Places:
    """The two places of each bridge, `[rings - 1, 2]`. Where rings touch, one place has all other bridges."""
    from scipy.cluster.hierarchy import DisjointSet  # noqa: PLC0415 - a tenth of a second

    _, first, same = np.unique(places.points, axis=0, return_index=True, return_inverse=True)
    first_here = first[same.reshape(-1)]
    twice = np.flatnonzero(places.ring != places.ring[first_here])
    rings = int(places.ring[-1]) + 1
    component = DisjointSet(range(rings))
    bridges = _joining(np.stack([first_here[twice], twice], axis=1), places.ring, component)
    points, ring = places.points[first], places.ring[first]
    while component.n_subsets > 1:
        roots = [component[number] for number in range(rings)]
        nearest = _nearest_of_others(points, np.unique(roots, return_inverse=True)[1].reshape(-1)[ring])
        bridges += _joining(first[nearest], places.ring, component)
    return np.array(bridges, dtype=np.int64).reshape(-1, 2)


def _joining(pairs: Places, ring: Places, component: "DisjointSet") -> list[tuple[int, int]]:
    """Those of the bridges, one after the other, that join what is not joined yet."""
    return [(one, other) for one, other in pairs.tolist() if component.merge(int(ring[one]), int(ring[other]))]


def _nearest_of_others(points: Ring, group: Places) -> Places:
    """For each group except the largest, its point that is nearest to another group, and the point there.

    Two groups differ in a bit of their numbers. So for each bit, the points with 0 look for those with 1, and the other
    way round.

    Returns:
        `[groups - 1, 2]`, the nearest ones first.
    """
    from scipy.spatial import KDTree  # noqa: PLC0415 - a tenth of a second

    asking = group != np.bincount(group).argmax()
    distance, other = np.full(len(points), np.inf), np.zeros(len(points), dtype=np.int64)
    for bit in range(int(group.max()).bit_length()):
        for value in (0, 1):
            is_here = (group >> bit & 1) == value
            here, there = np.flatnonzero(is_here & asking), np.flatnonzero(~is_here)
            found, position = KDTree(points[there]).query(points[here])
            nearer = found < distance[here]
            distance[here[nearer]], other[here[nearer]] = found[nearer], there[position[nearer]]
    order = np.lexsort((distance, group))
    order = order[asking[order]]
    best = order[np.r_[True, group[order][1:] != group[order][:-1]]]
    best = best[np.argsort(distance[best], kind="stable")]
    return np.stack([best, other[best]], axis=1)


def _walk(places: _Places, bridges: Places) -> Ring:
    """The path around all rings that takes each bridge when it comes to it.

    Bridges from one place are taken in the order of their directions, so that the path does not cross itself there.
    """
    kept = np.flatnonzero(places.is_corner)
    points, ring = places.points[kept], places.ring[kept]
    starts = np.searchsorted(ring, np.arange(ring[-1] + 2))
    ends = np.searchsorted(kept, bridges)
    stops = sorted(
        _stop(points, starts, ring, int(one), int(other)) for one, other in np.r_[ends, ends[:, ::-1]].tolist()
    )
    twin = {(stop.place, stop.other): number for number, stop in enumerate(stops)}
    first_stop = np.searchsorted([ring[stop.place] for stop in stops], np.arange(ring[-1] + 2))
    parts, here, number = [], 0, -1
    for _ in stops:
        current = ring[here]
        following = number + 1
        if following == first_stop[current + 1]:  # on through the start of the ring
            following = int(first_stop[current])
            parts += [points[here + 1 : starts[current + 1]], points[starts[current] : stops[following].place + 1]]
        else:
            parts.append(points[here + (number >= 0) : stops[following].place + 1])
        here = stops[following].other
        number = twin[here, stops[following].place]
        parts.append(points[here : here + 1])
    return np.concatenate([*parts, points[here + 1 : starts[1]]])


def _stop(points: Ring, starts: Places, ring: Places, place: int, other: int) -> _Stop:
    def neighbour(of: int, step: int) -> Ring:
        first, end = starts[ring[of]], starts[ring[of] + 1]
        point: Ring = points[first + (of - first + step) % (end - first)]
        return point

    target = points[other] if (points[other] != points[place]).any() else neighbour(other, 1)
    (x, y), (before_x, before_y) = target - points[place], neighbour(place, -1) - points[place]
    turn = np.arctan2(y, x) - np.arctan2(before_y, before_x)
    return _Stop(place, float(turn % (2 * np.pi)), other)
