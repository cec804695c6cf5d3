from pathlib import Path

import pytest

from sandbox.layout import PORT_SETTINGS, PROJECT, Layout, LayoutError


def test_without_variables_everything_has_its_documented_place():
    layout = Layout.from_environment({})
    assert layout.home == PROJECT / ".tidegate"
    assert layout.ports() == {name: setting.default for name, setting in PORT_SETTINGS.items()}


def test_a_variable_moves_a_port_and_the_home():
    layout = Layout.from_environment({"TIDEGATE_HOME": "/srv/t", "TIDEGATE_GATEWAY_PORT": "2000"})
    assert (layout.home, layout.gateway_url) == (Path("/srv/t"), "http://127.0.0.1:2000")


@pytest.mark.parametrize("value", ["x", "0", "65536", "-1", "8000.0", "80 80", "\uff11"])
def test_a_malformed_port_is_refused_by_name_and_rule(value):
    with pytest.raises(LayoutError, match=r"TIDEGATE_API_PORT must be a whole number from 1 to"):
        Layout.from_environment({"TIDEGATE_API_PORT": value})


def test_two_parts_on_one_port_are_refused():
    with pytest.raises(LayoutError, match="TIDEGATE_API_PORT and TIDEGATE_PROMETHEUS_PORT"):
        Layout.from_environment({"TIDEGATE_API_PORT": "9090"})


def test_the_production_environment_names_the_same_places(tmp_path):
    layout = Layout.for_tests(tmp_path)
    told = layout.production_environment()
    assert told["TIDEGATE_TEMPORAL_ADDRESS"] == f"127.0.0.1:{layout.temporal_port}"
    assert told["TIDEGATE_DATABASE_URL"] == layout.database_url()
    assert all(name.startswith("TIDEGATE_") for name in told)


def test_the_database_password_is_kept_and_is_its_owners_alone(tmp_path):
    layout = Layout.for_tests(tmp_path)
    assert layout.database_password() == layout.database_password()
    assert (layout.postgres_dir / "password").stat().st_mode & 0o777 == 0o600
