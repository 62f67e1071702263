"""GBNF, llama.cpp's notation for grammars: text in, `Grammar` out, with whatever is wrong at its line and column.

What it means is as llama.cpp reads it, and more is refused: rules that are defined twice or never end, classes that
hold no character, repetitions that llama.cpp would take for unlimited ones, and tokens, since an answer is a text. Left
recursion is allowed. A grammar may come from a stranger: everything here is bounded.

    tree.py     what a grammar is made of
    reader.py   its text, read
    grammar.py  all its rules together: `parse`
    match.py    whether a text fits it
    lark.py     the same grammar in the notation of what holds answers to it
"""
