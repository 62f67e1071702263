"""Prompt files of other tools: `.prompty`, read as it is; dotprompt's `.prompt`, turned into a file of ours."""
