"""Maps of MEGNO for asteroids, two planets and triple stars, and their Lyapunov times."""

import numpy as np

from dynmem.plotting import CYCLE, house_style, panels

NOTE = (
    "Maps: mean MEGNO after the run over the place of the body and the eccentricity it starts "
    "with. Pale: 2 or less, regular; dark: chaotic; grey: an encounter with another body was so "
    "close that the conserved quantity (Jacobi constant or energy) changed by more than 1e-4, "
    "where a fixed step is not accurate and the value is not reliable. Asteroids start at "
    "pericentre opposite Jupiter, which stands at 1; planets have 1e-4 of their star's mass; the "
    "triple is a binary of masses 1 and 1/2 with 1/2 around it. Last: share of all starts whose "
    "Lyapunov time is shorter than a value, in periods (of Jupiter, of the inner planet, and of 2 "
    "pi inner units of time); dashes: without the close encounters. The rest is regular, or "
    "slower than the run."
)
MAX_CONSERVED_ERROR = 1e-4
PROBLEM_LABELS = {
    "asteroid": ("asteroid inside Jupiter's orbit", "semi-major axis (Jupiter's)"),
    "two planets": ("two planets", "ratio of their periods"),
    "triple star": ("triple star", "outer semi-major axis (inner one's)"),
}


def draw(results):
    """Figure of the study ``planets``."""
    with house_style():
        figure, axes = panels(
            2,
            2,
            title="Which planets, asteroids and triple stars are chaotic?",
            note=NOTE,
            width=4.8,
            height=3.5,
        )
        for axis, problem in zip(axes, results.problem.values, strict=False):
            image = _map(axis, results.sel(problem=problem), str(problem))
            figure.colorbar(image, ax=axis, label="mean MEGNO", extend="max")
        _times(axes[-1], results)
        return figure


def _map(axis, at, problem):
    from matplotlib.colors import LogNorm

    values = np.where(at.error > MAX_CONSERVED_ERROR, np.nan, at.mean_megno)
    axis.set_facecolor("#bdbdbd")
    axis.grid(False)
    title, label = PROBLEM_LABELS[problem]
    axis.set(xlabel=label, ylabel="eccentricity at the start", title=title)
    return axis.pcolormesh(
        at.place[0],
        at.eccentricity,
        np.clip(values, 2.0, None),
        norm=LogNorm(2.0, 100.0),
        cmap="magma_r",
        shading="nearest",
        rasterized=True,
    )


def _times(axis, results):
    for colour, problem in zip(
        (CYCLE[0], CYCLE[1], CYCLE[2]), results.problem.values, strict=False
    ):
        at = results.sel(problem=problem)
        rate, met = at.rate.values.ravel(), at.error.values.ravel() > MAX_CONSERVED_ERROR
        for chosen, style in ((rate > 0, "-"), ((rate > 0) & ~met, "--")):
            times = np.sort(1.0 / rate[chosen])
            axis.plot(
                times,
                np.arange(1, times.size + 1) / rate.size,
                color=colour,
                ls=style,
                label=str(problem) if style == "-" else None,
            )
    axis.set(
        xscale="log",
        xlabel="Lyapunov time (periods)",
        ylabel="share of starts that forget sooner",
        title="how soon they forget",
        ylim=(0, None),
    )
    axis.legend()
