"""The two kinds of tangent of a dual number, both linear in the perturbation of a value of shape S.

``Forward`` holds k perturbed directions, shape (k, *S): forward mode, a whole frame by one BLAS
product. ``Reverse`` records the linear steps, so that k cotangents are propagated back through
them: reverse mode. Both have the same methods, which is all that ``dual`` relies on.
"""

import numpy as np


def _spread(tangents, ndim):
    """Insert axes behind the first, so that tangents of shape (k, *S) broadcast against values of
    ndim axes."""
    missing = ndim - (tangents.ndim - 1)
    return (
        tangents.reshape(tangents.shape[0], *(1,) * missing, *tangents.shape[1:])
        if missing > 0
        else tangents
    )


def product_of_moving(tangents, factor):
    """tangents * factor, but 0 where either of them is 0 and the other is not finite."""
    tangents, factor = np.broadcast_arrays(tangents, factor)
    moving = (tangents != 0) & (factor != 0)
    return np.multiply(tangents, factor, where=moving, out=np.zeros(tangents.shape))


class Forward:
    """Forward tangents ``rows * factor`` of shape (k, *S). The factor waits until a sum or a
    product needs it, so that a chain of elementwise functions costs one pass over the frame."""

    __slots__ = ("rows", "factor")

    def __init__(self, rows, factor=None):
        self.rows, self.factor = rows, factor

    def array(self):
        """The tangents as one array of shape (k, *S)."""
        return self.rows if self.factor is None else self.rows * self.factor

    def scale(self, factor, shape):
        if np.shape(factor) != self.rows.shape[1:]:
            return Forward(_spread(self.array(), len(shape)) * factor)
        return Forward(
            self.rows, np.asarray(factor) if self.factor is None else self.factor * factor
        )

    def scale_moving(self, factor, shape):
        """The same, and 0 where the tangent is exactly 0, whatever the factor: a root at 0 has an
        infinite slope, and sqrt(x^2), or the root of a rectified x, does not move there."""
        if np.isfinite(factor).all():
            return self.scale(factor, shape)
        return Forward(product_of_moving(_spread(self.array(), len(shape)), factor))

    def add(self, other, shape):
        left, right = _spread(self.array(), len(shape)), _spread(other.array(), len(shape))
        if self.factor is not None and left.shape[1:] == shape:  # a fresh array: add in place
            left += right
            return Forward(left)
        return Forward(left + right)

    def broadcast(self, shape):
        rows = _spread(self.array(), len(shape))
        return Forward(np.broadcast_to(rows, (rows.shape[0], *shape)))

    def matmul(self, matrix, shape):
        rows = self.array()
        if matrix.ndim == 2:  # one product for the whole batch
            if rows.ndim == 3 and rows.shape[1] and not rows.strides[1]:  # the same for all states
                return Forward(np.broadcast_to((rows[:, 0] @ matrix)[:, None], (len(rows), *shape)))
            flat = rows if rows.ndim == 2 else rows.reshape(rows[..., 0].size, rows.shape[-1])
            return Forward(
                flat @ matrix if rows.ndim == 2 else (flat @ matrix).reshape(rows.shape[0], *shape)
            )
        return Forward(_spread(rows, matrix.ndim) @ matrix)

    def rmatmul(self, matrix, shape):
        return Forward(matrix @ _spread(self.array(), matrix.ndim))

    def index(self, key, shape):
        if _fancy(key):  # numpy would move the axis of the tangents
            where = _positions(self.rows.shape[1:], key)
            return Forward(self.array().reshape(self.rows.shape[0], -1)[:, where])
        return Forward(
            self.rows[(slice(None), *key)], None if self.factor is None else self.factor[key]
        )

    def select(self, mask, shape):
        return Forward(np.where(mask, _spread(self.array(), len(shape)), 0.0))

    def sum(self, axis, keepdims, shape):
        return Forward(self.array().sum(axis=axis, keepdims=keepdims))

    def reshape(self, shape):
        return Forward(self.array().reshape(self.rows.shape[0], *shape))

    def transpose(self, axes, shape):
        return Forward(self.array().transpose(axes))

    @staticmethod
    def concat(parts, sizes, axis, shape):
        """Join tangents along an axis of the values; None stands for a constant part, whose tangent
        is zero."""
        count = next(part for part in parts if part is not None).rows.shape[0]
        out, start = np.empty((count, *shape)), 0
        for part, size in zip(parts, sizes, strict=True):
            block = out[(slice(None),) * (axis + 1) + (slice(start, start + size),)]
            if part is None:
                block[...] = 0.0
            else:
                np.multiply(part.rows, 1.0 if part.factor is None else part.factor, out=block)
            start += size
        return Forward(out)


class Reverse:
    """A recorded linear step: the shape of its value, its parents and, for each, how a cotangent
    (k, *S) goes back to it."""

    __slots__ = ("shape", "parents")

    def __init__(self, shape, *parents):
        self.shape, self.parents = shape, parents

    def scale(self, factor, shape):
        return Reverse(shape, (self, _Factor(factor)))

    scale_moving = scale

    def add(self, other, shape):
        return Reverse(shape, (self, None), (other, None))

    def broadcast(self, shape):
        return Reverse(shape, (self, None))

    def matmul(self, matrix, shape):
        return Reverse(shape, (self, lambda g: g @ matrix.swapaxes(-1, -2)))

    def rmatmul(self, matrix, shape):
        return Reverse(shape, (self, lambda g: matrix.swapaxes(-1, -2) @ g))

    def index(self, key, shape):
        def back(g):
            whole = np.zeros((g.shape[0], *self.shape))
            np.add.at(whole.reshape(g.shape[0], -1), (slice(None), _positions(self.shape, key)), g)
            return whole

        return Reverse(shape, (self, back if _fancy(key) else _Part(key)))

    def select(self, mask, shape):
        return Reverse(shape, (self, lambda g: np.where(mask, g, 0.0)))

    def sum(self, axis, keepdims, shape):
        return Reverse(
            shape,
            (
                self,
                lambda g: np.broadcast_to(
                    g if keepdims else np.expand_dims(g, axis), (g.shape[0], *self.shape)
                ),
            ),
        )

    def reshape(self, shape):
        return Reverse(shape, (self, lambda g: g.reshape(g.shape[0], *self.shape)))

    def transpose(self, axes, shape):
        return Reverse(shape, (self, lambda g: g.transpose(np.argsort(axes))))

    @staticmethod
    def concat(parts, sizes, axis, shape):
        """Join; see ``Forward.concat``."""
        parents, start = [], 0
        for part, size in zip(parts, sizes, strict=True):
            key = (slice(None),) * (axis + 1) + (slice(start, start + size),)
            parents += [] if part is None else [(part, lambda g, key=key: g[key])]
            start += size
        return Reverse(shape, *parents)


class _Factor:
    """A cotangent times the slope of an elementwise function."""

    __slots__ = ("factor",)

    def __init__(self, factor):
        self.factor = factor

    def __call__(self, g):
        return g * self.factor

    def of_moving(self, g):
        return product_of_moving(g, self.factor)


class _Part:
    """A cotangent of a part, added to that of the whole in place: the many parts that a convolution
    takes of one array need no array each."""

    __slots__ = ("key",)

    def __init__(self, key):
        self.key = (slice(None), *key)

    def add(self, g, whole):
        whole[self.key] += g


def _fancy(key):
    return any(isinstance(part, (list, np.ndarray)) for part in key)


def _positions(shape, key):
    """Positions in the flat array that a key of integer or boolean arrays picks."""
    return np.arange(int(np.prod(shape))).reshape(shape)[key]


def _fit(g, shape):
    """Sum a cotangent over the axes along which its value had been broadcast from ``shape``."""
    if g.shape[1:] == shape:
        return g
    g = g.sum(axis=tuple(range(1, g.ndim - len(shape)))) if g.ndim - 1 > len(shape) else g
    stretched = tuple(i + 1 for i, n in enumerate(shape) if n == 1 and g.shape[i + 1] != 1)
    return g.sum(axis=stretched, keepdims=True) if stretched else g


def pull(node, cotangent, root):
    """Cotangents at the root, shape (k, *root.shape), of a cotangent (k, *S) at the node. Zero
    where no path leads there.

    Where an infinite slope meets a 0 (the branch of a ``where`` that was not taken, the root of a
    number that does not move) it counts for nothing, as in ``Forward.scale_moving``.
    """
    found = _pull(node, cotangent, root, lambda back, g: back(g))
    if np.isnan(found).any():
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            return _pull(node, cotangent, root, lambda back, g: getattr(back, "of_moving", back)(g))
    return found


def count_steps(node):
    """Number of recorded linear steps that lead to a node, itself included."""
    return len(_recorded(node))


def _recorded(node):
    """Steps that lead to a node, parents first."""
    order, seen, walk = [], set(), [(node, False)]
    while walk:  # parents after children, without recursion
        step, done = walk.pop()
        if done:
            order.append(step)
        elif id(step) not in seen:
            seen.add(id(step))
            walk.append((step, True))
            walk += [(parent, False) for parent, _ in step.parents]
    return order


def _pull(node, cotangent, root, apply):
    waiting, own = {id(node): cotangent}, set()  # arrays that were made here may be added to
    for step in reversed(_recorded(node)):
        if step is root:
            break
        g = waiting.pop(id(step))
        for parent, back in step.parents:
            at = id(parent)
            known = waiting.get(at)
            if isinstance(back, _Part):
                if at not in own:
                    whole = np.zeros((g.shape[0], *parent.shape))
                    waiting[at] = whole if known is None else whole + known
                    own.add(at)
                back.add(g, waiting[at])
                continue
            part = _fit(g if back is None else apply(back, g), parent.shape)
            if at in own:
                known += part
            elif known is None:
                waiting[at] = part
            else:
                waiting[at] = known + part
                own.add(at)
    return waiting.get(id(root), np.zeros((cotangent.shape[0], *root.shape)))
