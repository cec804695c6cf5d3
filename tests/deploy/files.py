"""Reads what lies in deploy/."""

import re
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
K8S = DEPLOY / "k8s"


def final_stage():
    """The instructions of the image's last stage, as (name, rest) with continued lines joined."""
    text = (DEPLOY / "Dockerfile").read_text().replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    words = [tuple(line.split(maxsplit=1)) for line in lines]
    last = max(i for i, (name, _) in enumerate(words) if name == "FROM")
    return words[last:]


def copied():
    """What the image takes from the repository, by its path."""
    lines = [rest.split() for name, rest in final_stage() if name == "COPY"]
    return [line[0] for line in lines if not line[0].startswith("--from")]


def manifests():
    """Every object of every manifest, without kustomizations."""
    return [
        document
        for path in sorted(K8S.rglob("*.yaml"))
        if path.name != "kustomization.yaml"
        for document in yaml.safe_load_all(path.read_text())
    ]


def kustomizations():
    return {
        path.parent: yaml.safe_load(path.read_text()) for path in K8S.rglob("kustomization.yaml")
    }


def of_kind(kind, name=None):
    found = [one for one in manifests() if one["kind"] == kind]
    return found if name is None else next(one for one in found if one["metadata"]["name"] == name)


def pods():
    """The pod templates, by the name of what makes them."""
    return {
        one["metadata"]["name"]: one["spec"]["template"]
        for one in manifests()
        if one["kind"] in {"Deployment", "Job"}
    }


def settings_file():
    """The variables of settings.env."""
    lines = (K8S / "settings.env").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def alerts():
    document = yaml.safe_load((DEPLOY / "prometheus" / "alerts.yml").read_text())
    return [rule for group in document["groups"] for rule in group["rules"]]


def metrics_in(expression):
    """The names of metrics in a PromQL expression: the words before a brace, a range or an end."""
    bare = re.sub(r"\{[^}]*\}|\[[^\]]*\]|\"[^\"]*\"", "", expression)
    return set(re.findall(r"\b(?:temporal|tidegate|envoy)_\w+", bare))
