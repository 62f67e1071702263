"""The command line: one small file for each group of commands. They parse, call promptlab.app, and print.

Heavy things (rich, pydantic, the use cases) are imported inside the command functions: help and shell completion must
answer at once.
"""
