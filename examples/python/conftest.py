"""What the tests of this folder need: the workflow and the handlers of the sequential pipeline."""

import data_worker  # noqa: F401
