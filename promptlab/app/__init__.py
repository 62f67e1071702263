"""The use cases. The terminal interface and the command line call only these."""
