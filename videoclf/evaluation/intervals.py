"""95 % intervals: over the videos of a test list by bootstrap, over seeds by Student's t.

The two answer different questions. Over videos: what would this network score on other videos of
the same kind? Over seeds: what would another training of the same recipe score?
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Hashable, Sequence

import numpy as np

#: 0.975 quantiles of Student's t with 1, 2, ... 30 degrees of freedom.
_T_QUANTILES = (
    *(12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228),
    *(2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086),
    *(2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042),
)


def bootstrap_interval(
    statistic: Callable[[np.ndarray], float],
    groups: Sequence[Hashable],
    *,
    num_draws: int = 1000,
    seed: int = 0,
) -> tuple[float, float] | None:
    """Return the 95 % percentile interval of a statistic over draws of whole groups.

    Clips of one scene or person are no independent evidence, so groups are drawn, with
    replacement, as many as there are; all videos of a drawn group come along, as often as it is
    drawn.

    Args:
        statistic: of row numbers, int64 (M,), repeats included; draws where it is NaN are left
            out.
        groups: of each row, (N,); None is a group of its own.
        num_draws: resampled test lists.
        seed: of the draws: the same interval each time.

    Returns:
        (low, high), or None with fewer than two groups: one group says nothing about others.

    Source: Efron (1979); by groups: Davison and Hinkley (1997), section 3.8.
    """
    rows_by_group = _rows_by_group(groups)
    if len(rows_by_group) < 2:
        return None
    order = np.concatenate(rows_by_group)
    lengths = np.array([len(rows) for rows in rows_by_group])
    begins = np.cumsum(lengths) - lengths
    generator = np.random.default_rng(seed)
    values = np.empty(num_draws)
    for draw in range(num_draws):
        drawn = generator.integers(len(lengths), size=len(lengths))
        sizes = lengths[drawn]
        # where each drawn group begins in `order`, less where it begins in the new list
        shift = begins[drawn] - (np.cumsum(sizes) - sizes)
        values[draw] = statistic(order[np.arange(sizes.sum()) + np.repeat(shift, sizes)])
    if np.isnan(values).all():
        return None
    low, high = np.nanquantile(values, (0.025, 0.975))
    return float(low), float(high)


def t_interval(values: Sequence[float]) -> tuple[float, float] | None:
    """Return the 95 % interval of the mean of a few independent values, such as one a seed.

    Two values give a very wide one (12.7 standard errors), which is no mistake: two seeds say
    little. None with fewer than two.

    Source: Student (1908).
    """
    if len(values) < 2:
        return None
    mean = statistics.fmean(values)
    error = statistics.stdev(values) / math.sqrt(len(values))
    reach = _t_quantile(len(values) - 1) * error
    return mean - reach, mean + reach


def _rows_by_group(groups: Sequence[Hashable]) -> list[np.ndarray]:
    members: dict[Hashable, list[int]] = {}
    alone: list[list[int]] = []
    for row, group in enumerate(groups):
        if group is None:
            alone.append([row])
        else:
            members.setdefault(group, []).append(row)
    return [np.array(rows, dtype=np.int64) for rows in (*members.values(), *alone)]


def _t_quantile(degrees: int) -> float:
    if degrees <= len(_T_QUANTILES):
        return _T_QUANTILES[degrees - 1]
    # Cornish and Fisher's expansion, right to four digits from here on
    z = statistics.NormalDist().inv_cdf(0.975)
    first = (z**3 + z) / (4 * degrees)
    return z + first + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * degrees**2)
