"""How much more bad requests scatter than independent ones, learnt from stable's pods.

Retries and bursts of clients make bad requests arrive in clusters, and each pod has noise of its
own. Stable's pods run the same version beside each other, so what drives them apart is exactly that
noise; whatever hits all of them alike cancels. The larger of several block lengths also finds noise
that is slow (docs/statistics.md, section 2e):

    phi_B = sum_k sum_j (e_jk - s_jk e_k)^2 / sum_k sum_j s_jk (1 - s_jk) e_k
    phi   = clamp(max_B phi_B, 1, 20)

with e_jk the bad requests of pod j in block k, e_k those of all pods, s_jk the pod's share of the
block's requests. Given e_k, the denominator is what independent requests are expected to show.
"""

import numpy as np

from domain.evidence.mixtures import Floats

BLOCKS = (1, 12, 60, 180)
SMALLEST, LARGEST = 1.0, 20.0
# One block, or a handful of bad requests, would say more about chance than about the pods.
LEAST_BLOCKS = 4
LEAST_BAD = 30


def overdispersion(requests: Floats, bad: Floats) -> float | None:
    """The variance inflation phi of bad requests, within 1 and 20.

    Both arrays have shape (pods, scrapes): what each pod served in each scrape interval, and how
    many of those were bad. None where that says too little: fewer than two pods with requests,
    than four scrapes or than 30 bad requests. Raises ValueError when the shapes differ.
    """
    if requests.shape != bad.shape or requests.ndim != 2:  # noqa: PLR2004 - pods, scrapes
        raise ValueError(f"requests are of shape {requests.shape}, bad ones of {bad.shape}")
    serving = requests.sum(axis=1) > 0
    requests, bad = requests[serving], bad[serving]
    if len(requests) < 2 or bad.sum() < LEAST_BAD:  # noqa: PLR2004 - each beside another
        return None
    found = [_of_blocks(requests, bad, length) for length in BLOCKS]
    known = [phi for phi in found if phi is not None]
    return None if not known else min(max(*known, SMALLEST), LARGEST)


def _of_blocks(requests: Floats, bad: Floats, length: int) -> float | None:
    """phi_B of whole blocks of so many scrapes; None where there are too few of them."""
    blocks = requests.shape[1] // length
    if blocks < LEAST_BLOCKS:
        return None
    n, e = _summed(requests, blocks, length), _summed(bad, blocks, length)
    in_all, bad_in_all = n.sum(axis=0), e.sum(axis=0)
    shares = np.divide(n, in_all, out=np.zeros_like(n), where=in_all > 0)
    independent = float((shares * (1 - shares) * bad_in_all).sum())
    if independent <= 0:
        return None
    # Bad requests whose own count comes with a later scrape have no shares to be split by yet.
    seen = ((e - shares * bad_in_all) ** 2)[:, in_all > 0]
    return float(seen.sum()) / independent


def _summed(counts: Floats, blocks: int, length: int) -> Floats:
    whole = counts[:, : blocks * length]
    return np.asarray(whole.reshape(len(counts), blocks, length).sum(axis=2))
