"""The statistics of a comparison: plain numbers in, plain numbers out, the same for the same input.

The unit is the case. Several samples of one case are one cluster: they say more about that case, and make no more
cases. All that is random has a seed.

    numbers.py     what the functions take, checked
    intervals.py   how far a pass rate or a mean score can be trusted
    passk.py       pass@k and pass^k
    resampling.py  the bootstrap and the sign-flip test
    paired.py      two columns on the same cases: tests, Holm's correction, the decision
"""
