"""Works off a list of jobs whose results a page is made of; may be stopped and repeated."""

import json
from collections.abc import Callable
from types import ModuleType

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

Job = tuple[str, Callable[[], dict]]


def work_off(
    title: str, todo: list[Job], found: dict[str, dict], page: ModuleType, beside: Callable[[str], dict]
) -> None:
    """Does each job, with a progress bar, keeping what was found after each; then makes the page.

    Args:
      title: beside the bar.
      todo: (key, job) in order.
      found: results by key so far; new ones are added.
      page: has RESULTS, where they are kept, PAGE, and `write(found)`.
      beside: key -> what is kept with a result.
    """
    # Here, as they bring JAX and more, which spawned processes of PyTorch do without. And TFDS before the bar: while it
    # loads, relative imports fail in every thread, and rich's thread makes one each time it draws.
    import tensorflow_datasets  # noqa: F401

    from ssl_jax.train.workdir import write_atomically

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns) as progress:
        task = progress.add_task(title, total=len(todo))
        for key, job in todo:
            progress.update(task, description=key)
            found[key] = job() | beside(key)
            write_atomically(page.RESULTS, json.dumps(found, indent=1, sort_keys=True) + "\n")
            progress.advance(task)
    page.write(found)
    print(f"{page.PAGE} is made of {len(found)} results.")
