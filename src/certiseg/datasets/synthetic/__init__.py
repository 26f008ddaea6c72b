"""Things put together from solids with exact surfaces, for generated clouds."""
