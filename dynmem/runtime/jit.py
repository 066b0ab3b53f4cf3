"""JIT-compile generated source with numba; cache the object code by source hash."""

import contextlib
import os
import pickle
import stat
import sys
import types

from .files import cache_base, checksum

MAX_CACHED_PROGRAMS = 500  # programs of machine code that are kept, of some 50 kB each
# no home, a full disk, a folder that is read only: compiled anew in each process
CACHE_UNAVAILABLE = (OSError, RuntimeError)


def late(signature, **options):
    """numba.njit with one signature, compiled when a caller is compiled: a caller from the cache
    needs nothing, and without a signature numba would compile a function again for each constant
    argument.
    """
    import numba

    def dispatcher(function):
        made = numba.njit(**options)(function)

        def template(args, kws):
            if not made.overloads:
                made.compile(signature)
                made.disable_compile()
            return type(made).get_call_template(made, args, kws)

        made.get_call_template = template
        return made

    return dispatcher


def machine_code(name, text, function, signature=None):
    """Compile one function of a source text, by default with the signature that it carries. The
    text is always generated in this process, never read from disk; numba keeps its object code next
    to the copy on disk.
    """
    import numba

    path = _stored(name, text)
    module = types.ModuleType(name)
    module.__file__ = str(path or f"<{name}>")
    sys.modules[name] = module
    # made in this process, never read from disk
    exec(compile(text, module.__file__, "exec"), module.__dict__)  # noqa: S102
    function = getattr(module, function)
    signature = function.signature if signature is None else signature
    for _ in range(2 if path is not None else 0):
        try:
            return numba.njit([signature], cache=True, **module.FAST)(function)
        except (
            EOFError,
            pickle.UnpicklingError,
            ValueError,
            TypeError,
            LookupError,
            OSError,
            RuntimeError,
            AttributeError,
            ImportError,
        ):
            _clear(path)  # what is kept there is damaged, or cannot be kept
    return numba.njit([signature], **module.FAST)(function)


def _clear(path):
    """Remove what numba keeps of a program."""
    for kept in path.parent.glob(f"__pycache__/{path.stem}.*"):
        with contextlib.suppress(OSError):
            kept.unlink()


def cache_folder():
    """Where programs are kept: dynmem/programs in the user's cache folder (XDG_CACHE_HOME, or
    ~/.cache)."""
    return cache_base() / "dynmem" / "programs"


def _stored(name, text):
    """The copy of the text that numba's cache asks for; None where there is no room for one."""
    try:
        path = _private(cache_folder()) / f"{name}.py"
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            _whole(path, text.encode())
        return path
    except CACHE_UNAVAILABLE:
        return None


def _private(folder):
    """The folder, made where it is not there; OSError where others may write to it, since what is
    kept in it runs."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    state = folder.stat()
    if hasattr(os, "getuid") and (
        state.st_uid != os.getuid() or state.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    ):
        raise PermissionError(f"{folder} can be written by others")
    return folder


def _whole(path, data):
    """Write a file aside and rename it."""
    aside = path.with_suffix(f".{os.getpid()}")
    aside.write_bytes(data)
    os.replace(aside, path)


def keep(name, code):
    """Keep machine code in the cache folder behind its checksum, if there is a place for it; of
    more than ``MAX_CACHED_PROGRAMS``, those used last."""
    with contextlib.suppress(*CACHE_UNAVAILABLE):
        folder = _private(cache_folder())
        _whole(folder / f"{name}.o", _seal(name, code) + code)
        for old in sorted(folder.glob("*.o"), key=lambda path: path.stat().st_mtime)[
            :-MAX_CACHED_PROGRAMS
        ]:
            old.unlink(missing_ok=True)


def kept(name):
    """Machine code that was kept; None where there is none, or where it is not what it was, or is
    another program's."""
    try:
        path = _private(cache_folder()) / f"{name}.o"
        data = path.read_bytes()
    except CACHE_UNAVAILABLE:
        return None
    with contextlib.suppress(OSError):
        os.utime(path)  # used last
    return data[64:] if data[:64] == _seal(name, data[64:]) else None


def _seal(name, code):
    """Checksum of the code and of the name that it goes by: a file that was copied to another name
    is no good there."""
    return checksum(name.encode() + code).encode()
