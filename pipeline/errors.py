"""Errors that the user has to correct, and errors that may be gone at the next try."""


class UserError(Exception):
    """Something in the settings or the data has to be changed; the message says what, where and how."""


class TransientError(Exception):
    """Something that may be gone at the next try; it fails the task and leaves no status behind."""
