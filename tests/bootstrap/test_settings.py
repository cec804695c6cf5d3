"""Settings: defaults that fit a laptop, errors that name the variable and keep the secret."""

import os

import pytest

from bootstrap.settings import Settings, SettingsError, read_settings

DSN = "postgresql://tidegate:hunter2@db:5432/tidegate"


@pytest.fixture
def environment(monkeypatch):
    """Sets variables, after every TIDEGATE_ one of the outside is gone."""
    for name in [name for name in os.environ if name.startswith("TIDEGATE_")]:
        monkeypatch.delenv(name)

    def put(**variables):
        for name, value in variables.items():
            monkeypatch.setenv(f"TIDEGATE_{name}", value)

    return put


def test_only_the_database_must_be_named(environment):
    environment(DATABASE_URL=DSN)
    settings = read_settings()
    assert (settings.api_host, settings.api_port) == ("127.0.0.1", 8000)
    assert settings.kubeconfig is None
    assert settings.gateway_name == "tidegate-gateway"
    assert settings.database_url.get_secret_value() == DSN


def test_a_missing_variable_is_named(environment):
    with pytest.raises(SettingsError, match="TIDEGATE_DATABASE_URL: must be set"):
        read_settings()


def test_all_wrong_variables_are_named_at_once(environment):
    environment(DATABASE_URL=DSN, API_PORT="99999", LOG_FORMAT="xml", PROMETHEUS_URL="prometheus")
    with pytest.raises(SettingsError) as caught:
        read_settings()
    for name in ("API_PORT", "LOG_FORMAT", "PROMETHEUS_URL"):
        assert f"TIDEGATE_{name}" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_URL", "mysql://root:hunter2@db/x"),
        ("TEMPORAL_ADDRESS", "http://temporal:7233"),
        ("GATEWAY_NAME", "Not A Label"),
        ("KUBERNETES_TIMEOUT_SECONDS", "-1"),
        ("TOKEN_METRICS", "guess"),
        ("HOOKS_ALLOWED_HOSTS", "https://hunter2"),
        ("HOOKS_SIGNING_KEY", "hunter2"),
        ("TOKEN_PRICES", "hunter2"),
        ("TOKEN_PRICES", '["hunter2"]'),
        ("TOKEN_PRICES", '{"chat": {"input": 3}}'),
        ("TOKEN_PRICES", '{"chat": {"input": -3, "output": 1}}'),
        ("TOKEN_PRICES", '{"chat": {"input": 3, "output": NaN}}'),
        ("TOKEN_PRICES", '{"chat": {"input": 3, "output": 1, "currency": "dollars"}}'),
    ],
)
def test_what_makes_no_sense_is_refused_without_repeating_it(environment, name, value):
    environment(**{"DATABASE_URL": DSN, name: value})
    with pytest.raises(SettingsError) as caught:
        read_settings()
    assert f"TIDEGATE_{name}" in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_prices_are_read_from_json(environment):
    environment(DATABASE_URL=DSN)
    assert read_settings().token_prices is None
    given = '{"chat": {"input": 3, "output": 15.5}}'
    environment(TOKEN_PRICES=given)
    (price,) = (read_settings().token_prices or {}).values()
    assert (price.input, price.output, price.currency) == (3, 15.5, "USD")


def test_hooks_are_off_unless_a_host_is_allowed(environment):
    environment(DATABASE_URL=DSN, HOOKS_ALLOWED_HOSTS="")
    assert read_settings().hooks_allowed_hosts is None
    environment(HOOKS_ALLOWED_HOSTS="hooks.example.com, *.svc:8080", HOOKS_SIGNING_KEY="k" * 32)
    hosts = read_settings().hooks_allowed_hosts
    assert hosts is not None
    assert [(one.host, one.port) for one in hosts.entries] == [
        ("hooks.example.com", None),
        ("*.svc", 8080),
    ]


@pytest.mark.parametrize("key", ["", "k" * 31])
def test_hooks_without_a_key_worth_the_name_are_refused(environment, key):
    environment(DATABASE_URL=DSN, HOOKS_ALLOWED_HOSTS="*.example.com", HOOKS_SIGNING_KEY=key)
    with pytest.raises(SettingsError, match=r"TIDEGATE_HOOKS_SIGNING_KEY: .*must"):
        read_settings()


def test_an_empty_variable_counts_as_unset(environment):
    environment(DATABASE_URL=DSN, API_PORT="", KUBECONFIG="")
    assert read_settings().api_port == 8000
    assert read_settings().kubeconfig is None


def test_the_password_is_not_shown(environment):
    environment(DATABASE_URL=DSN)
    assert "hunter2" not in repr(read_settings())


def test_every_setting_says_what_it_is():
    for name, field in Settings.model_fields.items():
        assert field.description, name
