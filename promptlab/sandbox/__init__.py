"""Where strangers' templates render: a child process with limits, killed when it takes too long.

A template can keep a processor busy inside C code, where no signal handler and no time-out of the same process can stop
it (`{{ 9**(9**9) }}`). So prompts, the chat templates of models and the checking of values all happen in a child.
"""

from promptlab.sandbox.parent import Limits, Sandbox, absolute_paths

__all__ = ["Limits", "Sandbox", "absolute_paths"]
