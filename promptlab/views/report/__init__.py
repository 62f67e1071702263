"""A comparison as one HTML file that works offline: nothing in it is fetched, and nothing that a model said can run.

    page.py    the file: template, style and script put together, and what a browser may do with them
    data.py    what the script reads: cases, answers, checks, steps, as compact JSON
    facts.py   what was run: prompts, models, engines, counts
    doubts.py  what the comparison does not say for certain, in words
    show.py    numbers as a reader sees them

What is small is written by the template (`page.html.jinja`), so that it can be read without a script: columns, pairs,
the agreement of columns. What is large is built by the scripts in `script/` when it is needed: the matrix of cases, and
the page of a case.
"""

from promptlab.views.report.page import write_report

__all__ = ["write_report"]
