"""Stand-ins at the ports, for tests of what lies above them. `tests/contracts` keeps them honest."""
