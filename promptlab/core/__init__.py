"""Pure: no disk, clock, thread or process.

What a prompt is, what its program asks, what an engine says, what a record holds.
"""
