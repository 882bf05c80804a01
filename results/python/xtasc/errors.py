"""What goes wrong, in one line that says what, where, and what would be right."""

from __future__ import annotations


class XtascError(Exception):
    """A file or an argument that is not what it should be."""


class XtascFailure(XtascError):
    """No argument is wrong: what lies there is damaged, or could not be written."""


class BrokenRun(UserWarning):
    """A run that is shown in part, or left out, and why. The message begins with its path."""
