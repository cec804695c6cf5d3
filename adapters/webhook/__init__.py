"""What calls hooks over HTTP, and nothing else."""
