"""The reaper: a program of its own that is the parent of every fault process and outlives whatever kills pytest.

``client`` is this process's side. ``__main__`` and ``program`` are the reaper; they and what they import know
nothing but the standard library, and little of that, since their start is waited for.
"""
