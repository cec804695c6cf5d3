"""What an installation consists of: the image's content, its rights, its manifests, its alerts."""
