"""Valid comparisons; a test names only what matters to it."""

from dataclasses import replace
from datetime import timedelta

from domain.comparison import By, Compared, Comparison, Reply, SampleRequest

PREDICT = "/v1/models/chat:predict"
QUICK = timedelta(milliseconds=1)


def a_request(n=0, path=PREDICT):
    return SampleRequest(path=path, body=f'{{"instances":[{n}]}}')


def a_comparison(size=20, path=PREDICT, **changes):
    """Of `size` requests; by default they are compared exactly."""
    sample = tuple(a_request(n, path) for n in range(size))
    made = Comparison(sample=sample, by=By.EXACT)
    return replace(made, **changes)


def a_reply(text, status=200):
    return Reply(status=status, text=text)


def a_result(sequence, *, differs=False, **changes):
    difference = f"{sequence} is {sequence} and 0" if differs else ""
    made = Compared(sequence=sequence, request=sequence, difference=difference)
    return replace(made, **changes)
