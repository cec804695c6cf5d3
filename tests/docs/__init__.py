"""The documentation is true: specs compile, calls exist, tables name what the code has."""
