"""How often judges are wrong and how soon they are right, on simulated traffic all of them see."""
