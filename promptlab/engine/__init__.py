"""The model edge. Every engine gives the same events (promptlab.core.events)."""
