"""The signs of eigenvectors and singular vectors, as the LAPACK that PyTorch is built with leaves them.

Any sign is right, but one must be chosen, and it shows in printed results and in gradients. Signs of
eigenvectors follow from how plane rotations are signed, which changed between versions of LAPACK; NumPy
brings the newer one. So for the sizes that are solved by implicit QL and QR sweeps, the sweeps are repeated
here, on one number of each vector. Singular vectors of wide matrices follow from whether an LQ step comes
first.
"""

from __future__ import annotations

import math

import numpy as np

from vardsl.engine.dtypes import Array

LARGEST = 25  # beyond, LAPACK divides and conquers, and the signs do not depend on rotations
SWEEPS = 30

Numbers = list[float]


def _rotation(f: float, g: float) -> tuple[float, float, float]:
    """c, s and r with c f + s g = r, signed as LAPACK did up to version 3.9."""
    if g == 0:
        return 1.0, 0.0, f
    if f == 0:
        return 0.0, 1.0, g
    r = math.hypot(f, g)
    c, s = f / r, g / r
    return (-c, -s, -r) if abs(f) > abs(g) and c < 0 else (c, s, r)


def _pair(a: float, b: float, c: float) -> tuple[float, float, float, float]:
    """Eigenvalues of [[a, b], [b, c]], the larger in size first, and the first one's vector."""
    total, gap, twice = a + c, a - c, b + b
    big, small = (a, c) if abs(a) > abs(c) else (c, a)
    root = math.hypot(gap, twice)
    sign = -1 if total < 0 else 1
    first = 0.5 * (total + sign * root)
    second = (big / first) * small - (b / first) * b if total else -0.5 * root
    cs = gap + root if gap >= 0 else gap - root
    if abs(cs) > abs(twice):
        t = -twice / cs
        s1 = 1 / math.sqrt(1 + t * t)
        c1 = t * s1
    elif twice == 0:
        c1, s1 = 1.0, 0.0
    else:
        t = -cs / twice
        c1 = 1 / math.sqrt(1 + t * t)
        s1 = t * c1
    return (first, second, -s1, c1) if sign == (1 if gap >= 0 else -1) else (first, second, c1, s1)


def _turn(z: Numbers, j: int, c: float, s: float) -> None:
    """A rotation of the j-th and the next vector."""
    z[j], z[j + 1] = s * z[j + 1] + c * z[j], c * z[j + 1] - s * z[j]


def _shift(d: Numbers, at: int, other: int, far: int, e: float) -> float:
    """Wilkinson's shift of a sweep that begins at `far` and ends at `at`, whose neighbour is `other`."""
    g = (d[other] - d[at]) / (2 * e)
    return d[far] - d[at] + e / (g + math.copysign(math.hypot(g, 1.0), g))


def _ql(d: Numbers, e: Numbers, z: Numbers, low: int, high: int, eps: float) -> bool:
    """Diagonalizes a block from its beginning on."""
    for _ in range(SWEEPS * (high - low + 1)):
        if low > high:
            return True
        m = next((k for k in range(low, high) if _tiny(e[k], d[k], d[k + 1], eps)), high)
        if m < high:
            e[m] = 0.0
        if m == low:
            low += 1
        elif m == low + 1:
            d[low], d[m], c, s = _pair(d[low], e[low], d[m])
            _turn(z, low, c, s)
            e[low] = 0.0
            low += 2
        else:
            _ql_sweep(d, e, z, low, m)
    return low > high


def _ql_sweep(d: Numbers, e: Numbers, z: Numbers, low: int, m: int) -> None:
    g = _shift(d, low, low + 1, m, e[low])
    s = c = 1.0
    p = 0.0
    for i in range(m - 1, low - 1, -1):
        f, b = s * e[i], c * e[i]
        c, s, r = _rotation(g, f)
        if i != m - 1:
            e[i + 1] = r
        g = d[i + 1] - p
        r = (d[i] - g) * s + 2 * c * b
        p = s * r
        d[i + 1] = g + p
        g = c * r - b
        _turn(z, i, c, -s)
    d[low] -= p
    e[low] = g


def _qr(d: Numbers, e: Numbers, z: Numbers, low: int, high: int, eps: float) -> bool:
    """Diagonalizes a block from its end on."""
    for _ in range(SWEEPS * (high - low + 1)):
        if low > high:
            return True
        m = next((k for k in range(high, low, -1) if _tiny(e[k - 1], d[k], d[k - 1], eps)), low)
        if m > low:
            e[m - 1] = 0.0
        if m == high:
            high -= 1
        elif m == high - 1:
            d[m], d[high], c, s = _pair(d[m], e[m], d[high])
            _turn(z, m, c, s)
            e[m] = 0.0
            high -= 2
        else:
            _qr_sweep(d, e, z, high, m)
    return low > high


def _qr_sweep(d: Numbers, e: Numbers, z: Numbers, high: int, m: int) -> None:
    g = _shift(d, high, high - 1, m, e[high - 1])
    s = c = 1.0
    p = 0.0
    for i in range(m, high):
        f, b = s * e[i], c * e[i]
        c, s, r = _rotation(g, f)
        if i != m:
            e[i - 1] = r
        g = d[i] - p
        r = (d[i + 1] - g) * s + 2 * c * b
        p = s * r
        d[i] = g + p
        g = c * r - b
        _turn(z, i, c, s)
    d[high] -= p
    e[high - 1] = g


def _small(e: float, a: float, b: float, eps: float) -> bool:
    return abs(e) <= math.sqrt(abs(a)) * math.sqrt(abs(b)) * eps


def _tiny(e: float, a: float, b: float, eps: float) -> bool:
    return e * e <= eps * eps * abs(a) * abs(b) + 1e-300


def _diagonalize(d: Numbers, e: Numbers, z: Numbers, eps: float) -> bool:
    """Block after block, each from the end whose element is smaller; False where it does not converge."""
    n, start = len(d), 0
    while start < n:
        if start:
            e[start - 1] = 0.0
        low = start
        high = next((m for m in range(low, n - 1) if _small(e[m], d[m], d[m + 1], eps)), n - 1)
        if high < n - 1:
            e[high] = 0.0
        start = high + 1
        if high > low:
            solve = _qr if abs(d[high]) < abs(d[low]) else _ql
            if not solve(d, e, z, low, high, eps):
                return False
    return True


def _tridiagonal(a: Array, probe: Array) -> tuple[Numbers, Numbers, Numbers]:
    """Diagonals of Qᵀ A Q, by reflections from the first column on, and the probe as a row of Q."""
    a, z = a.astype(np.float64), probe.copy()
    n = len(a)
    for i in range(n - 2):
        x = a[i + 1 :, i].copy()
        if not x[1:].any():
            continue
        x[0] += math.copysign(math.sqrt(float(x @ x)), x[0])
        x *= math.sqrt(2 / float(x @ x))
        rest = a[i + 1 :]
        rest -= np.outer(x, x @ rest)
        rest = a[:, i + 1 :]
        rest -= np.outer(rest @ x, x)
        z[i + 1 :] -= (z[i + 1 :] @ x) * x
    return np.diagonal(a).tolist(), np.diagonal(a, -1).tolist(), z.tolist()


def signed(a: Array, vectors: Array, upper: bool) -> Array:
    """Eigenvectors of a symmetric matrix (ascending values, one triangle read) with PyTorch's signs."""
    n = a.shape[-1]
    if not 3 <= n <= LARGEST:
        return vectors
    made = vectors.copy()
    probe = np.cos(np.arange(1, n + 1))
    eps = float(np.finfo(a.dtype).eps) / 2
    for matrix, columns in zip(a.reshape(-1, n, n), made.reshape(-1, n, n), strict=True):
        if not np.isfinite(matrix).all():
            continue
        # reading the upper triangle, LAPACK works from the last column on: the same, seen from the other end
        whole = np.triu(matrix) + np.triu(matrix, 1).T if upper else np.tril(matrix) + np.tril(matrix, -1).T
        flipped = whole[::-1, ::-1] if upper else whole
        d, e, z = _tridiagonal(flipped, probe[::-1] if upper else probe)
        if upper:
            d, e, z = d[::-1], e[::-1], z[::-1]
        if _diagonalize(d, e, z, eps):
            expected = np.array(z)[np.argsort(d, kind="stable")]
            found = probe @ columns
            clear = np.abs(expected - found) > np.abs(expected + found)
            columns[:, clear] *= -1
    return made


# ---- wide matrices --------------------------------------------------------------------------------


def _reflection(x: Array) -> Array | None:
    """The unit normal of the reflection that leaves only the first element of `x`; None where that is so."""
    if not x[1:].any():
        return None
    v = x.copy()
    v[0] += math.copysign(float(np.sqrt(x @ x)), float(x[0]))
    return np.asarray(v / np.sqrt(v @ v))


def _upper_from_lower(b: Array) -> tuple[Array, Array]:
    """A lower bidiagonal matrix turned into an upper one by rotations G from the left: (G b, G)."""
    m = len(b)
    b, g = b.copy(), np.eye(m, dtype=b.dtype)
    for i in range(m - 1):
        f, e = float(b[i, i]), float(b[i + 1, i])
        r = math.copysign(math.hypot(f, e), f) if e else f
        c, s = (f / r, e / r) if r else (1.0, 0.0)
        turn = np.array([[c, s], [-s, c]], b.dtype)
        b[i : i + 2] = turn @ b[i : i + 2]
        g[i : i + 2] = turn @ g[i : i + 2]
        b[i + 1, i] = 0
    return b, g


def _svd_of_wide(a: Array, full: bool) -> tuple[Array, Array, Array]:
    """U, S and Vh by reflections from both sides, without an LQ step before them."""
    m, n = a.shape
    a = a.copy()
    right: list[Array | None] = []
    left: list[Array | None] = []
    for i in range(m):
        v = _reflection(a[i, i:])
        right.append(v)
        if v is not None:
            a[i:, i:] -= np.outer(2 * (a[i:, i:] @ v), v)
        u = _reflection(a[i + 1 :, i]) if i < m - 1 else None
        left.append(u)
        if u is not None:
            a[i + 1 :, i:] -= np.outer(u, 2 * (u @ a[i + 1 :, i:]))
    band, turns = _upper_from_lower(np.tril(a[:, :m]) - np.tril(a[:, :m], -2))
    u_band, s, vh_band = np.linalg.svd(band)
    made_u = turns.T @ u_band
    made_v = np.eye(n if full else m, n, dtype=a.dtype)
    made_v[:m, :m] = vh_band
    for i in range(m - 1, -1, -1):
        u, v = left[i], right[i]
        if u is not None:
            made_u[i + 1 :] -= np.outer(u, 2 * (u @ made_u[i + 1 :]))
        if v is not None:
            made_v[:, i:] -= np.outer(2 * (made_v[:, i:] @ v), v)
    return made_u, s, made_v


WIDEST, ROWS = 20, 64  # PyTorch's LAPACK takes the LQ step only from this ratio on; NumPy's does at 11/6


def wide_svd(a: Array, full: bool) -> tuple[Array, Array, Array] | None:
    """The decomposition of matrices for which NumPy would choose other signs; None for the rest."""
    m, n = a.shape[-2:]
    if not (2 <= m <= ROWS and m * 11 // 6 <= n < WIDEST * m) or not a.size or not np.isfinite(a).all():
        return None
    parts = [_svd_of_wide(x, full) for x in a.reshape(-1, m, n)]
    u, s, vh = (np.stack(p) for p in zip(*parts, strict=True))
    batch = a.shape[:-2]
    return u.reshape(*batch, m, m), s.reshape(*batch, m), vh.reshape(*batch, *vh.shape[1:])
