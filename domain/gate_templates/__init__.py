"""Named, versioned sets of gates with arguments, and how they become a rollout's gates."""
