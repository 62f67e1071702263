"""Two themes, dark and light: quiet surfaces, one accent."""

from __future__ import annotations

from textual.theme import Theme


def _marks(text: str, focused: str, blurred: str) -> dict[str, str]:
    """What is marked in a list keeps the colours of its text; only what lies behind it changes."""
    return {
        "block-cursor-foreground": text,
        "block-cursor-background": focused,
        "block-cursor-text-style": "none",
        "block-cursor-blurred-foreground": text,
        "block-cursor-blurred-background": blurred,
        "block-cursor-blurred-text-style": "none",
    }


DARK = Theme(
    name="promptlab-dark",
    primary="#e0a458",
    secondary="#8f9bb3",
    accent="#e0a458",
    foreground="#d9dce3",
    background="#121418",
    surface="#171a1f",
    panel="#21252c",
    success="#8fc28a",
    warning="#e0a458",
    error="#ef7d7d",
    dark=True,
    variables={
        "border": "#e0a458",
        "border-blurred": "#3a404b",
        "footer-key-foreground": "#e0a458",
        **_marks("#d9dce3", focused="#3d3420", blurred="#21252c"),
    },
)

LIGHT = Theme(
    name="promptlab-light",
    primary="#9a5b00",
    secondary="#4a5568",
    accent="#9a5b00",
    foreground="#22252b",
    background="#fbfaf7",
    surface="#f4f2ec",
    panel="#e9e6dd",
    success="#2f6f3a",
    warning="#9a5b00",
    error="#a62b2b",
    dark=False,
    variables={
        "border": "#9a5b00",
        "border-blurred": "#c9c4b6",
        "footer-key-foreground": "#9a5b00",
        **_marks("#22252b", focused="#f3dfbd", blurred="#e9e6dd"),
    },
)
