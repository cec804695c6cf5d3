"""Whole rollouts on the whole cluster, seen as its users and operators see them."""
