"""What the callers of a model have seen."""

import asyncio


def failed(load):
    """Who answered the requests that failed; "(gateway)" when no model server did."""
    return {one.variant for one in load.timeline.outcomes() if one.status != 200}


async def served_from_now_on(load, *, requests=30):
    """Which variants serve the requests that are sent from now on, and come back well."""
    start = len(load.timeline)
    sent_from = asyncio.get_running_loop().time()
    while True:
        later = [one for one in load.timeline.outcomes(start) if one.sent_at >= sent_from]
        if len(later) >= requests:
            assert {one.status for one in later} == {200}
            return {one.variant for one in later}
        await asyncio.sleep(0.1)
