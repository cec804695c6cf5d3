"""What a rollout is and what happens next: standard library and numpy, no clock, no I/O."""
