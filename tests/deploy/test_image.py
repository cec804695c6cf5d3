"""What the Dockerfile copies is enough, and is no more than that. Building it takes an engine.

That both processes also work from it is seen in test_alerts.py.
"""

import re

from tests.deploy.files import DEPLOY, ROOT, copied, final_stage

OF_A_LAPTOP = ["sandbox", "tests", "pytest", "rich", "psutil", "hypothesis"]
LOOK = f"""
from importlib.util import find_spec
assert not [name for name in {OF_A_LAPTOP} if find_spec(name)]
import worker, api.app, api.__main__
"""


async def test_the_image_s_content_alone_is_enough_to_import_both_processes(installation):
    said, code = await installation.run("-c", LOOK)
    assert (said, code) == ("", 0)


def test_nothing_is_copied_that_production_may_not_import():
    assert set(copied()) == {
        *("domain", "workflows", "activities", "adapters", "bootstrap", "api"),
        *("worker.py", "migrations"),
    }


def test_the_build_sees_what_it_copies_and_nothing_else():
    ignored = (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines()
    allowed = {line.removeprefix("!") for line in ignored if line.startswith("!")}
    assert next(line for line in ignored if not line.startswith("#")) == "*"
    assert allowed == {*copied(), "requirements/setup.txt", "requirements/runtime.txt"}
    assert all((ROOT / path).exists() for path in allowed)


def test_packages_are_pinned_by_hash_and_never_compiled():
    text = (DEPLOY / "Dockerfile").read_text().replace("\\\n", " ")
    installs = re.findall(r"(?:pip install|pip sync)[^&\n]*", text)
    assert len(installs) == 2
    assert all("--require-hashes" in line for line in installs)
    assert "--only-binary :all:" in installs[1]
    assert "apt-get" not in text


def test_the_image_runs_as_a_numbered_user_who_is_not_root():
    users = [rest for name, rest in final_stage() if name == "USER"]
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", users[-1])
