"""The parts of screens. Each could live alone: it is given state, and says what is wanted of it in messages."""
