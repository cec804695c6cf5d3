"""What a workflow may do to the world: a class a subject, which takes ports, knows no vendor."""
