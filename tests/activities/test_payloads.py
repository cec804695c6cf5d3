"""What of a result one payload carries."""

from temporalio.testing import ActivityEnvironment

from activities.payloads import MOST_BYTES, that_fit


def fit(*found: str) -> tuple[str, ...]:
    return ActivityEnvironment().run(that_fit, found)


def test_what_fits_is_kept_in_its_order():
    assert fit("a", "b", "c") == ("a", "b", "c")
    assert fit() == ()


def test_what_does_not_fit_is_left_with_all_behind_it():
    half = "x" * (MOST_BYTES // 2)
    assert fit("a", half, half, "b") == ("a", half)


def test_the_first_is_returned_however_large_it_is():
    large = "x" * MOST_BYTES
    assert fit(large, "b") == (large,)
