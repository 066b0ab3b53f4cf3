"""Cholesky QR of a frame by BLAS and LAPACK, which releases the GIL: scipy's own wrappers of these
three routines hold it; the pointers that scipy exports for Cython, called by ctypes, do not."""

from __future__ import annotations

import ctypes

import numpy as np
from scipy.linalg import cython_blas, cython_lapack


def _routine(module, name, arguments):
    """A Fortran routine of scipy, all of whose arguments are pointers."""
    capsule = module.__pyx_capi__[name]
    get_name, get_pointer = (
        ctypes.pythonapi.PyCapsule_GetName,
        ctypes.pythonapi.PyCapsule_GetPointer,
    )
    get_name.restype, get_name.argtypes = ctypes.c_char_p, [ctypes.py_object]
    get_pointer.restype, get_pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    return ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * arguments)(
        get_pointer(capsule, get_name(capsule))
    )


_syrk, _potrf, _trsm = (
    _routine(cython_blas, "dsyrk", 10),
    _routine(cython_lapack, "dpotrf", 5),
    _routine(cython_blas, "dtrsm", 11),
)
_LOWER, _RIGHT, _TRANSPOSED, _PLAIN = b"L", b"R", b"T", b"N"
_ONE, _ZERO = ctypes.byref(ctypes.c_double(1.0)), ctypes.byref(ctypes.c_double(0.0))


def cholesky_qr(F, least):
    """Q (k, n), the diagonal of L (k,), and the least L_ii^2 / |F_i|^2, with F = L Q for F (k, n)
    in C order, from F F^T = L L^T (Fukaya et al. 2014).

    Q is orthonormal to rounding over that share. None where it is no more than ``least``, or the
    factor fails.
    """
    k, n = (ctypes.byref(ctypes.c_int(size)) for size in F.shape)
    L, info = np.empty((len(F), len(F)), order="F"), ctypes.c_int()
    # F in C order is its transpose in Fortran's
    _syrk(_LOWER, _TRANSPOSED, k, n, _ONE, F.ctypes.data, n, _ZERO, L.ctypes.data, k)
    squares = L.diagonal().copy()
    _potrf(_LOWER, k, L.ctypes.data, k, ctypes.byref(info))
    diagonal = L.diagonal()
    share = 0.0 if info.value else (diagonal * diagonal / squares).min()
    if not share > least:
        return None
    Q = F.copy()
    _trsm(_RIGHT, _LOWER, _TRANSPOSED, _PLAIN, n, k, _ONE, L.ctypes.data, k, Q.ctypes.data, n)
    return Q, diagonal.copy(), share
