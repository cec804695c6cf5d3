"""What pods say about why a workload is not up."""

import pytest

from adapters.kserve.pods import trouble


def pod(**status):
    return {"status": status}


def container(name="c", *, waiting=None, ended=None):
    return {
        "name": name,
        "state": {"waiting": {"reason": waiting}} if waiting else {"running": {}},
        "lastState": {"terminated": {"reason": ended}} if ended else {},
    }


@pytest.mark.parametrize(
    ("pods", "said"),
    [
        ([], ""),
        ([pod()], ""),
        ([pod(containerStatuses=[container()])], ""),
        ([pod(containerStatuses=[container(waiting="ContainerCreating")])], ""),
        ([pod(containerStatuses=[container(ended="OOMKilled")])], "container c: OOMKilled"),
        ([pod(initContainerStatuses=[container(ended="Completed")])], ""),
        (
            [pod(), pod(initContainerStatuses=[container("init", waiting="CrashLoopBackOff")])],
            "container init: CrashLoopBackOff",
        ),
        (
            [
                pod(
                    conditions=[
                        {
                            "type": "PodScheduled",
                            "status": "False",
                            "reason": "Unschedulable",
                            "message": "0/3 nodes have a GPU",
                        }
                    ]
                )
            ],
            "Unschedulable: 0/3 nodes have a GPU",
        ),
        ([{"status": 7}, {}], ""),
    ],
)
def test_the_first_trouble_is_told(pods, said):
    assert trouble(pods) == said
