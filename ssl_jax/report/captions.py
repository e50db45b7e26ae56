"""What the figures of a run are called, and what to look at in each."""

import re

# Beginning of the file's name (views_2.png is one of the views) -> title and note, in the order of the page.
_KNOWN = {
    "views": (
        "What the network sees",
        "Random views of pictures, before training. You should still recognise each picture, and yet no two views of "
        "it should look alike: views that are too weak teach nothing, views that are too strong leave nothing in "
        "common. Where a method compares several views, each is numbered by its place, and 'again' is another draw.",
    ),
    "reconstructions": (
        "Reconstructions",
        "Shapes and colours should carry on across hidden patches, and where none was hidden, in all of the picture. "
        "Blur is normal; a grey or striped filling is not.",
    ),
    "masked_tokens": (
        "Hidden words and what the network guessed",
        "Guesses should fit the grammar of the sentence even where they are wrong, with the right word among the "
        "first.",
    ),
    "neighbours": (
        "Nearest neighbours",
        "For held-out examples, what the network holds to be most similar among the training examples. They should "
        "share the meaning, not only the colour or the layout.",
    ),
    "embedding_map": (
        "Map of the embeddings",
        "Each point is a held-out example. Groups of one colour that formed without labels are what was learned; look "
        "at what lies between two groups. Distances between far groups mean little.",
    ),
}


def caption(stem: str) -> dict[str, str]:
    """`title` and `note` of the figure STEM.png; an unknown one is titled by its name, with an empty note."""
    known = _recognised(stem)
    if known is None:
        return {"title": heading(stem), "note": ""}
    title, note = _KNOWN[known[0]]
    rest = known[1].replace("_", " ")
    return {"title": f"{title} ({rest})" if rest else title, "note": note}


def order(stem: str) -> tuple[int, str]:
    """Sorts figures: known kinds as a reader wants them, then the others by name."""
    known = _recognised(stem)
    return list(_KNOWN).index(known[0]) if known else len(_KNOWN), stem


def heading(name: str) -> str:
    """A name of a file or key as a heading."""
    return (name[:1].upper() + name[1:]).replace("_", " ")


def _recognised(stem: str) -> tuple[str, str] | None:
    """The known kind of figure that a file name begins with, and the rest of the name."""
    for kind in _KNOWN:
        rest = re.fullmatch(re.escape(kind) + r"(?:[_-](.*))?", stem)
        if rest:
            return kind, rest[1] or ""
    return None
