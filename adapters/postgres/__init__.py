"""The registry and the projections in PostgreSQL: plain SQL, typed methods around it."""
