import numpy as np
import pytest

from domain.evidence.overdispersion import LARGEST, overdispersion

SCRAPES, RATE = 720, 250.0
DRIFT = 0.01 * np.exp(np.log(3.0) * np.sin(np.linspace(0, 4 * np.pi, SCRAPES)))
"""Nine-fold, shared by all pods."""


def traffic(rng, pods=3):
    weights = np.array([1.0, 1.5, 0.7, 1.2])[:pods, None]
    return rng.poisson(RATE * weights * np.ones((pods, SCRAPES))).astype(float)


def in_bursts(rng, requests, mean):
    """Bad requests whose clusters are geometric of this mean: their phi is 2 mean - 1."""
    clusters = rng.poisson(requests * DRIFT[: requests.shape[1]] / mean)
    sizes = rng.geometric(1 / mean, clusters.sum())
    ends = np.cumsum(clusters.ravel())
    sums = np.concatenate([[0], np.cumsum(sizes)])[np.concatenate([[0], ends])]
    return np.diff(sums).reshape(clusters.shape).astype(float)


def found_in(requests, bad) -> float:
    found = overdispersion(requests, bad)
    assert found is not None
    return found


@pytest.mark.parametrize("seed", range(5))
def test_independent_errors_are_not_overdispersed_however_the_rate_drifts(seed):
    rng = np.random.default_rng(seed)
    requests = traffic(rng)
    found = found_in(requests, rng.binomial(requests.astype(int), DRIFT).astype(float))
    assert 1.0 <= found < 1.9  # of four block lengths the longest has four blocks: chance shows


@pytest.mark.parametrize("seed", range(5))
def test_the_true_overdispersion_of_bursts_is_found(seed):
    rng = np.random.default_rng(seed)
    requests = traffic(rng)
    assert 4.0 < found_in(requests, in_bursts(rng, requests, mean=3)) < 9.0


def test_on_average_the_shortest_blocks_find_the_true_value():
    rng, found = np.random.default_rng(1), []
    for _ in range(30):
        requests = traffic(rng)[:, :47]  # too few for any longer block
        found.append(found_in(requests, in_bursts(rng, requests, mean=3)))
    assert np.mean(found) == pytest.approx(5.0, rel=0.15)


def test_slow_noise_of_pods_shows_in_long_blocks():
    rng = np.random.default_rng(3)
    requests = traffic(rng)
    noise = np.zeros((3, SCRAPES))
    for k in range(1, SCRAPES):
        noise[:, k] = 0.98 * noise[:, k - 1] + rng.normal(0, 0.2 * np.sqrt(1 - 0.98**2), 3)
    bad = rng.poisson(requests * 0.02 * np.exp(noise)).astype(float)
    assert found_in(requests[:, :47], bad[:, :47]) < found_in(requests, bad)
    assert found_in(requests, bad) > 2.0


def test_a_bad_node_is_cut_off_at_the_largest():
    requests = np.full((2, SCRAPES), 100.0)
    bad = np.stack([np.zeros(SCRAPES), np.full(SCRAPES, 20.0)])
    assert found_in(requests, bad) == LARGEST


@pytest.mark.parametrize("pods", [1, 2])
def test_one_pod_with_requests_says_nothing(pods):
    requests = np.zeros((pods, SCRAPES))
    requests[0] = 100.0
    assert overdispersion(requests, requests * 0.1) is None


def test_a_few_errors_say_nothing():
    requests, bad = np.full((3, SCRAPES), 10.0), np.zeros((3, SCRAPES))
    bad[0, :29] = 1.0
    assert overdispersion(requests, bad) is None
    bad[1, 0] = 1.0
    assert overdispersion(requests, bad) is not None


def test_three_scrapes_say_nothing():
    requests = np.full((3, 3), 100.0)
    assert overdispersion(requests, requests * 0.2) is None


def test_blocks_without_requests_do_no_harm():
    rng = np.random.default_rng(4)
    requests = traffic(rng)
    requests[:, ::2] = 0.0
    bad = rng.binomial(requests.astype(int), 0.02).astype(float)
    assert 1.0 <= found_in(requests, bad) < 1.9


def test_arrays_of_different_shapes_are_refused():
    with pytest.raises(ValueError, match="of shape"):
        overdispersion(np.zeros((2, 5)), np.zeros((2, 6)))
