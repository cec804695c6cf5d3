"""Where hooks may be sent: hosts by their entries, addresses by what they are."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.allowed_hosts import RULE, AllowedHosts, is_host


@pytest.mark.parametrize(
    ("entries", "host", "port", "allowed"),
    [
        ("hooks.example.com", "hooks.example.com", 443, True),
        ("hooks.example.com", "hooks.example.com", 8443, True),
        ("hooks.example.com", "HOOKS.Example.com.", 443, True),
        ("Hooks.Example.com", "hooks.example.com", 443, True),
        ("hooks.example.com", "evil-hooks.example.com", 443, False),
        ("hooks.example.com", "hooks.example.com.evil.net", 443, False),
        ("hooks.example.com", "example.com", 443, False),
        ("hooks.example.com:8443", "hooks.example.com", 8443, True),
        ("hooks.example.com:8443", "hooks.example.com", 443, False),
        ("*.example.com", "hooks.example.com", 443, True),
        ("*.example.com", "a.b.example.com", 443, True),
        ("*.example.com", "example.com", 443, False),
        ("*.example.com", ".example.com", 443, False),
        ("*.example.com", "badexample.com", 443, False),
        ("*.example.com:80", "hooks.example.com", 443, False),
        ("a.example.com, b.example.com", "b.example.com", 443, True),
        ("127.0.0.1:8080", "127.0.0.1", 8080, True),
        ("127.0.0.1:8080", "127.0.0.1", 8081, False),
        ("127.0.0.1", "localhost", 80, False),
        ("[::1]:9000", "::1", 9000, True),
        ("[::1]", "0:0:0:0:0:0:0:1", 9000, True),
        ("", "hooks.example.com", 443, False),
    ],
)
def test_a_host_is_allowed_by_its_entry(entries, host, port, allowed):
    assert AllowedHosts.read(entries).permits(host, port) is allowed


@pytest.mark.parametrize(
    "entries",
    [
        "https://hooks.example.com", "hooks.example.com/path", "user@hooks.example.com", "*",
        "*.", "a.*.com", "hooks.*", "*.10.0.0.1", "127.1", "0x7f000001", "hooks.example.com:0",
        "hooks.example.com:65536", "hooks.example.com:", "::1", "a b", "*.*.example.com", "höoks.de",
        "[hooks.example.com]x",
    ],
)  # fmt: skip
def test_an_entry_that_makes_no_sense_is_refused_with_the_rule(entries):
    with pytest.raises(ValueError, match="must be hosts separated by commas") as caught:
        AllowedHosts.read(f"fine.example.com,{entries}")

    assert str(caught.value) == RULE


ORDINARY = [
    "93.184.216.34",
    "10.1.2.3",
    "172.16.0.9",
    "192.168.1.1",
    "2606:2800:220:1::1",
    "fd12::7",
]
HAZARDS = {
    "127.0.0.1": "loopback",
    "127.8.9.10": "loopback",
    "::1": "loopback",
    "::ffff:127.0.0.1": "loopback",
    "64:ff9b::7f00:1": "loopback",
    "2002:7f00:1::": "loopback",
    "169.254.1.1": "link-local",
    "fe80::1": "link-local",
    "169.254.169.254": "metadata",
    "::ffff:169.254.169.254": "metadata",
    "fd00:ec2::254": "metadata",
    "100.100.100.200": "metadata",
    "168.63.129.16": "metadata",
    "224.0.0.1": "multicast",
    "ff02::1": "multicast",
    "0.0.0.0": "no address",  # noqa: S104 - refused, not bound
    "0.1.2.3": "no address",
    "::": "no address",
    "255.255.255.255": "reserved",
    "240.0.0.1": "reserved",
}


@pytest.mark.parametrize("address", ORDINARY)
def test_an_allowed_name_may_lead_to_the_internet_and_into_the_cluster(address):
    assert not AllowedHosts.read("*.example.com").objection("hooks.example.com", 443, address)


@pytest.mark.parametrize(("address", "what"), HAZARDS.items())
def test_an_allowed_name_may_not_lead_to_the_machine_or_its_cloud(address, what):
    objection = AllowedHosts.read("hooks.example.com").objection("hooks.example.com", 443, address)

    assert what in objection
    assert address in objection


@pytest.mark.parametrize(
    ("entry", "host", "address", "allowed"),
    [
        ("127.0.0.1:8080", "127.0.0.1", "127.0.0.1", True),
        ("[::1]:8080", "::1", "::1", True),
        ("localhost:8080", "localhost", "127.0.0.1", True),
        ("localhost:8080", "localhost", "::1", True),
        ("169.254.1.1:8080", "169.254.1.1", "169.254.1.1", True),
        ("localhost:8080", "localhost", "169.254.1.1", False),
        ("localhost:8080", "localhost", "169.254.169.254", False),
        ("169.254.169.254:8080", "169.254.169.254", "169.254.169.254", False),
        ("[fd00:ec2::254]:8080", "fd00:ec2::254", "fd00:ec2::254", False),
        ("0.0.0.0:8080", "0.0.0.0", "0.0.0.0", False),  # noqa: S104 - refused, not bound
        ("224.0.0.1:8080", "224.0.0.1", "224.0.0.1", False),
        ("127.0.0.1:8080", "hooks.example.com", "127.0.0.1", False),
        ("*.example.com:8080", "hooks.example.com", "127.0.0.1", False),
    ],
)
def test_loopback_and_link_local_are_open_only_where_an_entry_names_them(
    entry, host, address, allowed
):
    assert (AllowedHosts.read(entry).objection(host, 8080, address) == "") is allowed


def test_the_host_is_asked_about_before_its_address():
    objection = AllowedHosts.read("a.example.com").objection("b.example.com", 443, "10.0.0.1")

    assert objection == "b.example.com:443 is not an allowed host"


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("hooks", True), ("hooks.ns.svc.cluster.local", True), ("a_b.example.com", True),
        ("10.0.0.1", True), ("::1", True), ("127.1", False), ("0x7f000001", False),
        ("2130706433", False), ("0177.0.0.1", False), ("a..b", False), ("-a.example", False),
        ("", False), ("hooks%2eexample.com", False), ("höoks.de", False),
    ],
)  # fmt: skip
def test_a_host_is_a_name_or_an_address_in_its_usual_form(host, expected):
    assert is_host(host) is expected


@given(st.ip_addresses(v=4))
def test_wrapping_an_address_hides_nothing(address):
    hosts = AllowedHosts.read("hooks.example.com")
    plain, *wrapped = (
        bool(hosts.objection("hooks.example.com", 443, str(one)))
        for one in (address, f"::ffff:{address}", f"64:ff9b::{address}")
    )

    assert wrapped == [plain, plain]
