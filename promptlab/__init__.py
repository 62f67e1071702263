"""promptlab: run a prompt as a program on many local open-weight models at once, side by side.

Layers, top to bottom; imports go down only, and siblings do not import each other:

    cli | tui         what people type and see
    app | views       use cases; records to text
    engine | files    models that run; what lies on disk
    sandbox           the killable child in which templates render
    core              pure: prompts, programs, events, records
    errors
"""

__version__ = "0.1.0"
