"""Questions to a graph of fields, as what its period, its band, its support is.

A node's answer is written as a generator that yields what it wants to know of others, as (field, name, *arguments), and
is sent the answer. One walk keeps the generators that wait on a stack of its own and every answer that it has: each
node is asked once, however many paths lead to it, and graphs may be as deep as they like. A subclass may answer by a
plain method or attribute of the same name, which is asked once, too.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar, cast

from fields.accuracy import LEVELS, ROUGHLY

if TYPE_CHECKING:
    from fields.evaluation.node import Node
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fields.evaluation.node import Node
    from fields.lattice import PerAxis

Asked = ParamSpec("Asked")
T = TypeVar("T")
Of = TypeVar("Of")
N = TypeVar("N", bound="Node")
#: What a node yields, is sent, and answers in the end.
Answer = Generator[Any, Any, T]


class _Walk(threading.local):
    """Answers of the walk that this thread is on: methods that ask on their own share them."""

    answers: dict[Any, Any] | None = None


_walk = _Walk()


def question(
    steps: Callable[Concatenate[Of, Asked], Answer[T]],
) -> Callable[Concatenate[Of, Asked], T]:
    """Make a method of a generator, by a walk that begins there."""

    @functools.wraps(steps)
    def method(node: Of, *args: Asked.args, **named: Asked.kwargs) -> T:
        outer, given = _walk.answers, (*args, *named.values())
        _walk.answers = {} if outer is None else outer
        try:
            key, running = _key(node, steps, *given), steps(node, *args, **named)
            return cast(T, _answered(key, running, _walk.answers))
        finally:
            _walk.answers = outer

    method.steps = steps  # type: ignore[attr-defined]
    return cast(Callable[Concatenate[Of, Asked], T], method)


def _key(*parts: Any) -> Any:
    """What an answer is kept by: what is asked, where it can be."""
    try:
        hash(parts)
    except TypeError:
        return object()
    return parts


def _answered(root: Any, steps: Answer[Any], answers: dict[Any, Any]) -> Any:
    """What the generator of a node returns, once all that it asks for is answered."""
    if root in answers:
        return answers[root]
    waiting = [(root, steps)]
    reply: Any = None
    while waiting:
        key, running = waiting[-1]
        try:
            node, name, *args = running.send(reply)
        except StopIteration as done:
            waiting.pop()
            reply = answers[key] = done.value
            continue
        own = _steps(node, name)
        asked = (node, own or name, *args)
        if asked not in answers and own is not None:
            waiting.append((asked, own(node, *args)))
            reply = None
            continue
        if asked not in answers:
            plain = getattr(node, name)
            answers[asked] = plain(*args) if callable(plain) else plain
        reply = answers[asked]
    return reply


def _steps(node: Any, name: str) -> Callable[..., Answer[Any]] | None:
    """The generator that a node's class answers by, if it does."""
    found = getattr(type(node), name, None)
    found = found.fget if isinstance(found, property) else found
    return getattr(found, "steps", None)


# --- the graph itself -----------------------------------------------------------------------------------------


def walk(root: N, below: Callable[[N], Iterable[N]]) -> Iterator[N]:
    """All nodes that the root depends on, those that `below` says of each before it."""
    seen: set[int] = set()
    stack = [(root, False)]
    while stack:
        node, expanded = stack.pop()
        if expanded:
            yield node
        elif id(node) not in seen:
            seen.add(id(node))
            stack.append((node, True))
            stack.extend((parent, False) for parent in below(node))


def graph(root: N, sources: bool = False) -> list[N]:
    """All nodes that the root depends on, parents before children; of `sources`, too, whose images leaves sum."""

    def below(node: N) -> Iterable[N]:
        return (*node.parents, node.source) if sources and node.source is not None else node.parents

    return list(walk(root, below))


def held(node: Node) -> list[Any]:
    """The fields that a node holds, whatever for."""
    others = (node.source, node.original)
    return [*node.parents, *(other for other in others if other is not None)]


def _level(node: Node) -> int:
    """Levels of the graph below a node, which keeps it."""
    for each in _unlevelled(node):
        below = (b.__dict__["_levels"] for b in held(each))
        each.__dict__["_levels"] = 1 + max(below, default=-1)
    return int(node.__dict__["_levels"])


def _unlevelled(root: Node) -> Iterator[Node]:
    """Nodes whose level isn't known, those that others depend on first."""
    stack = [(root, False)]
    while stack:
        node, expanded = stack.pop()
        if "_levels" in node.__dict__:
            continue
        if expanded:
            yield node
            continue
        stack.append((node, True))
        stack.extend((b, False) for b in held(node))


def reduced(node: Node, plain: Any) -> Any:
    """What `__reduce_ex__` says, preceded on every 32nd level by the nodes on such levels below.

    Copies and pickles of these are then there when they are met again, so that recursion never goes further down.
    """
    if not isinstance(plain, tuple) or _level(node) % LEVELS or not _level(node):
        return plain
    below = [*walk(node, held)][:-1]
    first = [n for n in below if _level(n) and not _level(n) % LEVELS]
    return _after, (first, *plain[:2]), *plain[2:]


def _after(first: list[Node], make: Callable[..., Node], args: tuple[Any, ...]) -> Node:
    """Make a node once others are made."""
    return make(*args)


def known_within(field: N) -> list[N]:
    """All nodes of the graph, and of the graphs that leaves sum the images of."""
    return graph(field, sources=True)


def finest(field: Node, rtol: float) -> PerAxis:
    """Highest frequency per axis of the waves of all leaves and functions, 0 where none is known.

    Fewer points than tell these waves say nothing, however little doubling their number changes: cos² is 1 at all of
    them where they are a wavelength apart.
    """
    band = (0.0,) * field.dim
    for node in known_within(field):
        band = tuple(map(max, band, node._finest(rtol) or band))
    return band


def thinnest(field: Node) -> PerAxis:
    """Highest frequency per axis that maxima need beyond `finest`."""
    bands = (node._thinnest() for node in known_within(field))
    return functools.reduce(lambda a, b: tuple(map(max, a, b)), bands)


def unsaid(field: Node) -> bool:
    """Whether there is a function in a field of which nobody says how fine it is."""
    return any(node._finest(ROUGHLY) is None for node in known_within(field))


def opaque(field: Node) -> bool:
    """Whether a field is a function, without any quadrature in it, of which nobody says how fine it is."""
    nodes = known_within(field)
    return field.bandlimit is None and not any(n.is_quadrature for n in nodes) and unsaid(field)


def jumps(field: Node) -> bool | None:
    """Whether a function that a field is made of is known to jump, or bend; None where only some are known not to."""
    known = [node._jumps() for node in known_within(field)]
    return True if True in known else None if None in known else False
