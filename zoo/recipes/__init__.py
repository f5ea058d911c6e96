"""Settings, components, and the resolution of recipes with a user's overrides."""
