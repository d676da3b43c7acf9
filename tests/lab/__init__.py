"""The lab: whole programs, ours and other people's, in network namespaces.

Every test makes the hosts it needs (netns.py), runs programs on them (peers.py,
proc.py) with files from configs.py or scenarios/, moves bytes through them with
the tools of traffic.py, and takes everything down again. Which program plays a
role is a parameter everywhere, so that a stock program can be put in the place
of ours to see whether a test is right.

Rules of the house: wait for a condition, never for a time; a deadline is only
there to end a wait that will not end well; measured times are printed, never
asserted; nothing is left behind, on any way out.
"""


class LabError(Exception):
    """A test's finding: what was expected and what happened."""


class Skip(Exception):
    """The test cannot run here; why is said aloud."""
