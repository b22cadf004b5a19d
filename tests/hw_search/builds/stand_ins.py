"""Stand-ins for long steps of builds."""

from typing import Any

from zerocross.hw_search.builds.job import Job
from zerocross.hw_search.builds.layout import VECTORS
from zerocross.hw_search.builds.results import Simulated


def no_simulation(job: Job, *_: Any) -> Simulated:
    """Replaces the comparison of all forms: nothing is compared, and the file of vectors is empty."""
    (job.folder / VECTORS).touch()
    return Simulated("", 0, (), 1.0, 1, 1, None)
