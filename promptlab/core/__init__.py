"""Pure: no disk, clock, thread or process. What a prompt is, what a program asks, what an engine says, what a record holds."""
