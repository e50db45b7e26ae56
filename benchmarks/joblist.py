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
    from ssl_jax.train.workdir import write_atomically  # brings JAX, which spawned processes of PyTorch do without

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns) as progress:
        task = progress.add_task(title, total=len(todo))
        progress.refresh()  # rich imports parts of itself now, which fails while TFDS's lazy imports are under way
        for key, job in todo:
            progress.update(task, description=key)
            found[key] = job() | beside(key)
            write_atomically(page.RESULTS, json.dumps(found, indent=1, sort_keys=True) + "\n")
            progress.advance(task)
    page.write(found)
    print(f"{page.PAGE} is made of {len(found)} results.")
