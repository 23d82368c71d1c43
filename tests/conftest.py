"""Settings of all tests."""

import os

from hypothesis import settings

# The same examples on every run, so that a failure is the change's and not the day's; ALLOT_TEST_EXPLORE=1 looks for new ones.
settings.register_profile("same", derandomize=True, deadline=None, print_blob=True)
settings.register_profile("explore", deadline=None, print_blob=True)
settings.load_profile("explore" if os.environ.get("ALLOT_TEST_EXPLORE") else "same")

pytest_plugins = ["tests.databases"]
