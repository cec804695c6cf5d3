"""Gates on a query's answers: readings in, verdict out; pure, so any verdict can be recomputed."""
