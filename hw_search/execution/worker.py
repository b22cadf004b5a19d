"""A worker process: tasks in as lines of JSON, results out as lines of JSON.

Started as `python -m zerocross.hw_search.execution.worker`. A worker knows nothing of the search. It ends when its
input ends, so none outlives the process that started it.
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
    """Serve tasks until the input ends."""
    # Results go out on a descriptor of their own: libraries print to standard output as they like.
    results = os.fdopen(os.dup(1), "w", buffering=1, encoding="utf-8")
    os.dup2(2, 1)

    from zerocross.hw_search.execution.tasks import from_json

    prepare()
    for line in sys.stdin:
        result = serve(from_json(line))
        results.write(json.dumps(result) + "\n")
        if result.get("passing"):
            return  # memory ran out, or a GPU failed: another process starts afresh


def prepare() -> None:
    """Set torch up as trainings want it: one thread, and on a GPU the same result every time, of whole floats."""
    import torch

    torch.set_num_threads(1)
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.allow_tf32 = False


def serve(work: "Task") -> "Result":
    """Do a task (see `zerocross.hw_search.execution.evaluation`), whatever comes of it.

    Args:
        work: the task. Its `memory_gb`, where it is given, limits what this process may address, from now on.

    Returns:
        What `evaluate` returns; {"status": "error", "reason"} where the user has something to mend; {"status": "failed",
        "reason"} for anything else that went wrong, "passing" with it if another try may go well.
    """
    import torch

    from zerocross.hw_search.errors import UserError
    from zerocross.hw_search.execution.evaluation import evaluate
    from zerocross.models.errors import ModelError

    memory_gb = work.trainings[0].memory_gb
    if memory_gb:
        limit = int(memory_gb * 2**30)
        resource.setrlimit(resource.RLIMIT_AS, (limit, resource.getrlimit(resource.RLIMIT_AS)[1]))
    try:
        return evaluate(work)
    except (UserError, ModelError) as error:
        return {"status": "error", "reason": str(error)}
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, torch.AcceleratorError):
            return {"status": "failed", "passing": True, "reason": f"its GPU failed: {_first_line(error)}"}
        if isinstance(error, MemoryError) or "memory" in str(error):
            return {"status": "failed", "passing": True, "reason": f"out of memory: {_first_line(error)}"}
        traceback.print_exc()
        return {"status": "failed", "reason": f"{type(error).__name__}: {_first_line(error)}"}
    except Exception as error:  # a user's topology or operation may raise anything
        traceback.print_exc()
        return {"status": "failed", "reason": f"{type(error).__name__}: {_first_line(error)}"}


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]


if __name__ == "__main__":
    main()
