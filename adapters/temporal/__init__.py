"""What the guardian asks Temporal itself: which runs are alive."""
