"""The map is true: what it names exists, what exists it names, and nothing has grown a tail."""

import ast
import re
import subprocess
from importlib.metadata import packages_distributions
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MAP = (ROOT / "ARCHITECTURE.md").read_text()
LONGEST_MODULE, LONGEST_FUNCTION = 400, 50


def tracked(pattern: str) -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", pattern],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return [ROOT / line for line in listed.stdout.split() if (ROOT / line).exists()]


OURS = [path for path in tracked("*.py") if "tests" not in path.relative_to(ROOT).parts]


def test_every_path_that_the_map_links_to_exists():
    missing = [link for link in re.findall(r"\]\(([^)#]+)\)", MAP) if not (ROOT / link).exists()]

    assert missing == []


def test_every_top_level_folder_is_on_the_map():
    folders = {path.relative_to(ROOT).parts[0] for path in tracked("*") if path.parent != ROOT}
    unnamed = [name for name in folders if not name.startswith(".") and f"`{name}/" not in MAP]

    assert set(unnamed) <= {"requirements"}


def test_no_module_has_a_tail():
    long = {str(path.relative_to(ROOT)): path.read_text().count("\n") for path in OURS}

    assert {path: lines for path, lines in long.items() if lines > LONGEST_MODULE} == {}


def test_no_function_has_a_tail():
    functions = {
        f"{path.relative_to(ROOT)}:{node.name}": (node.end_lineno or node.lineno) - node.lineno + 1
        for path in OURS
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }

    assert {name: lines for name, lines in functions.items() if lines > LONGEST_FUNCTION} == {}


def test_no_flat_name_of_ours_hides_an_installed_package():
    ours = {path.relative_to(ROOT).parts[0].removesuffix(".py") for path in OURS}

    assert ours & set(packages_distributions()) == set()


def test_nothing_committed_names_a_path_of_a_machine_or_a_registry():
    words = [
        "/ro" + "ot/",
        "/wo" + "rk/",
        "pypi" + ".org",
        "files.python" + "hosted",
        "npm" + "js.org",
    ]
    found = subprocess.run(
        ["git", "grep", "-nIF", *(w for word in words for w in ("-e", word))],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert found.stdout == ""
