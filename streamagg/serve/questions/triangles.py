"""Fewer points of a line that look like all of them (Steinarsson: Downsampling Time Series for Visual
Representation, 2013: largest triangle, three buckets)."""

import numpy as np

from streamagg.serve.records import Column


def largest_triangles(times: Column, values: Column, points: int) -> Column:
    """Places of as many points as are wanted, or of all if there are no more; times ascend."""
    count = len(times)
    if count <= points:
        return np.arange(count)
    if points < 3:
        return np.array([0, count - 1][:points])
    x, y = times.astype(np.float64) - times[0], values.astype(np.float64)
    edges = np.linspace(1, count - 1, points - 1).astype(np.int64)
    chosen = [0]
    for begin, end in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        beyond = edges[np.searchsorted(edges, end, side="right")] if end < count - 1 else count
        mean_x, mean_y = x[end:beyond].mean(), y[end:beyond].mean()
        last = chosen[-1]
        area = np.abs(
            (x[last] - mean_x) * (y[begin:end] - y[last]) - (x[last] - x[begin:end]) * (mean_y - y[last])
        )
        chosen.append(begin + int(area.argmax()))
    return np.array([*chosen, count - 1])
