"""The same assertions against a fake and the adapter it stands in for, so that fakes cannot lie."""
