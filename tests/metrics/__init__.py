"""A metrics store for tests: programs to be scraped, and one that answers what it is told."""
