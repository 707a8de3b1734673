"""What the lab raises: each error names what was wrong, where, and the remedy."""


class LabError(Exception):
    """The lab itself cannot go on: something is missing on this machine, or a guest did not come up."""


class CaseFailed(Exception):
    """A step of a case did not do what the case demands."""


class CaseSkipped(Exception):
    """The case cannot run here; the text says why."""


class TimeLimit(Exception):
    """The runner asked this case to end: its time limit is over, or somebody pressed Ctrl-C."""
