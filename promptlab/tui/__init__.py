"""The terminal interface. It calls `promptlab.app` and shows core's types; it opens no file and knows no engine.

State is immutable and flows down; requests flow up as messages nested in the widgets. Whatever came from a model, a
file or a prompt passes through `show`, which sanitises it, before any widget sees it.
"""
