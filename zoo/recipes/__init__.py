"""Settings, components, and recipes resolved from what a user asks for."""
