"""The statistics: stored intervals in, verdict out; pure, so any verdict can be recomputed."""
