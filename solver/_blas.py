"""One thread for linear algebra: ours is of some hundred numbers, and threads that wait for each other make it five times slower.

Measured on the quasi-Newton steps of `solver.ways`. It holds for what is loaded from here on, and not against what the user says.
"""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
