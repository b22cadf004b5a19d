"""A worker process. It reads tasks as lines of JSON and writes results as lines of JSON.

The command is `python -m zerocross.hw_search.execution.worker`. A worker is independent of the search. It ends when its
input ends; in the middle of a training, the guardian of the search ends it (`zerocross.finn_flows.children`).
"""

import json
import os
import resource
import sys
import traceback
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zerocross.hw_search.execution.tasks import Result, Task


def main() -> None:
    """Run tasks until the input ends."""
    # Results have a separate descriptor, because libraries may print to standard output.
    results = os.fdopen(os.dup(1), "w", buffering=1, encoding="utf-8")
    os.dup2(2, 1)

    from zerocross.hw_search.execution.tasks import from_json

    prepare()
    for line in sys.stdin:
        result = serve(from_json(line))
        results.write(json.dumps(result) + "\n")
        if result.get("passing"):
            return  # out of memory, or GPU failure: the executor starts a new process


def prepare() -> None:
    """Set up torch for trainings: one thread, and a GPU that repeats its results."""
    import torch

    from zerocross.models.machine import repeat_results

    torch.set_num_threads(1)
    repeat_results()


def serve(work: "Task") -> "Result":
    """Run a task (see `zerocross.hw_search.execution.evaluation`) and catch every error.

    Args:
        work: The task. Its `memory_gb`, if given, limits the address space of this process from now on.

    Returns:
        The result of `evaluate`; {"status": "error", "reason"} for a mistake of the user; {"status": "failed", "reason"} for
        any other error, with "passing" if a retry may succeed.
    """
    from zerocross.hw_search.errors import UserError
    from zerocross.hw_search.execution.evaluation import evaluate
    from zerocross.models.errors import ModelError, first_line
    from zerocross.models.machine import machine_failure

    memory_gb = work.trainings[0].memory_gb
    if memory_gb:
        limit = int(memory_gb * 2**30)
        resource.setrlimit(resource.RLIMIT_AS, (limit, resource.getrlimit(resource.RLIMIT_AS)[1]))
    try:
        return evaluate(work)
    except (UserError, ModelError) as error:
        return {"status": "error", "reason": str(error)}
    except Exception as error:  # a user's topology or operation may raise anything
        if (reason := machine_failure(error)) is not None:
            return {"status": "failed", "passing": True, "reason": reason}
        traceback.print_exc()
        return {"status": "failed", "reason": f"{type(error).__name__}: {first_line(error)}"}


if __name__ == "__main__":
    main()
