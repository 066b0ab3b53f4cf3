"""What six memories of the brain forget, and by which law: theory on top of measurement."""

import numpy as np

from dynmem.plotting import CYCLE, house_style, panels

NOTE = (
    "Dots: measured (mean over seeds, bars two standard errors over seeds where they are larger "
    "than the dot), lines: theory without a fitted "
    "parameter. Line attractor: "
    "variance of a held value in noise, 2 D t at w = 1, saturating where it leaks. Ring "
    "attractor: the leading two exponents, flat below "
    "J1 = 2, where the two coincide, a bump above; the first, 0 on a continuum, is slightly "
    "negative on the lattice of 128 units "
    "wherever J1 does not fit it. "
    "Inset: variance of the bump's angle. Hopfield: overlap of retrieved states at temperature 0; "
    "beyond the capacity (dots above 0) finite "
    "networks keep a remnant that theory does not know. Synapses: signal-to-noise ratio of one "
    "memory in 10,000 synapses against the memories "
    "stored since; later points scatter about 0 and are left out below the noise of the "
    "measurement. Wong and Wang: final S1 from random "
    "starts (circles) on the stable (green) and unstable (grey) fixed points; the line marks the "
    "published parameters. Bit: time constant "
    "of the decay of a flip-flop's memory against 1/D; it is the mean passage time to the ridge, "
    "dashed by Kramers' formula."
)
LOOKS = {"exponential": CYCLE[1], "cascade": CYCLE[3], "power law": CYCLE[0]}


def draw(results):
    """Figure of the study ``brain``."""
    with house_style():
        figure, axes = panels(
            3,
            2,
            title="What does each memory of the brain forget, and by which law?",
            note=NOTE,
            width=4.3,
            height=3.3,
        )
        for axis, panel in zip(
            axes, (_line, _ring, _hopfield, _synapses, _wong_wang, _bit), strict=True
        ):
            panel(axis, results)
        return figure


def _dots(axis, x, values, colour, label=None):
    """Mean over seeds with two standard errors."""
    seeds = values.sizes["seed"]
    error = values.std("seed", ddof=1) / np.sqrt(seeds) if seeds > 1 else 0 * values.mean("seed")
    axis.errorbar(
        x, values.mean("seed"), 2 * error, fmt="o", color=colour, ms=3.5, lw=1, label=label
    )


def _line(axis, results):
    for colour, w in zip(CYCLE, results.feedback.values, strict=False):
        at = results.sel(feedback=w)
        axis.plot(at.time, at.line_variance_theory.mean("seed"), color=colour, label=f"w = {w:g}")
        _dots(axis, at.time, at.line_variance, colour)
    axis.set(
        xlabel="time (time constants)",
        ylabel="variance of the value",
        title="line attractor: diffusion",
    )
    axis.legend()


def _ring(axis, results):
    import dynmem as dm

    fine = np.linspace(2.02, float(results.modulation.max()), 120)
    rings = [dm.systems.RingAttractor(modulation=J1) for J1 in fine]
    bump = np.array([dm.theory.ring_bump(ring).lyapunov.values[:2] for ring in rings])
    flat = np.linspace(float(results.modulation.min()), 2.0, 20)
    for i, colour in enumerate(CYCLE[:2]):
        axis.plot(fine, bump[:, i], color=colour, lw=1.1)
        _dots(
            axis,
            results.modulation,
            results.ring_lyapunov.isel(exponent=i),
            colour,
            f"exponent {i + 1}",
        )
    axis.plot(flat, flat / 2 - 1, color=CYCLE[0], lw=1.1)
    axis.axvline(2.0, color="#999999", lw=0.8)
    axis.set(
        xlabel="modulation J1",
        ylabel="Lyapunov exponent (1/time constant)",
        title="ring attractor: shape kept, angle free",
        ylim=(-1.0, 0.08),
    )
    axis.legend(loc="center right", bbox_to_anchor=(1.0, 0.8))
    inset = axis.inset_axes((0.56, 0.36, 0.42, 0.26))
    inset.plot(
        results.time, 1e4 * results.ring_variance_theory.mean("seed"), color=CYCLE[2], lw=1.2
    )
    _dots(inset, results.time, 1e4 * results.ring_variance, CYCLE[2])
    inset.set_title("variance of the angle (1e-4), J1 = 4", fontsize=7, fontweight="normal")
    inset.tick_params(labelsize=7)
    inset.set(xlabel="time", ylabel="rad$^2$")
    inset.xaxis.label.set_size(7)
    inset.yaxis.label.set_size(7)


def _hopfield(axis, results):
    import dynmem as dm

    capacity = dm.theory.hopfield_capacity(0.0)
    loads = np.append(
        np.linspace(0.01, float(capacity.capacity[0]), 200),
        [float(capacity.capacity[0]) + 1e-9, float(results["load"].max())],
    )
    axis.plot(
        loads,
        dm.theory.hopfield(loads).overlap,
        color=CYCLE[0],
        label="Amit, Gutfreund, Sompolinsky",
    )
    _dots(axis, results["load"], results.hopfield_overlap, CYCLE[0], "measured")
    axis.axvline(float(capacity.capacity[0]), color="#999999", lw=0.8)
    axis.text(
        float(capacity.capacity[0]) - 0.003,
        0.08,
        "0.1379",
        ha="right",
        fontsize=8.5,
        color="#555555",
    )
    axis.set(
        xlabel="load (patterns per unit)",
        ylabel="overlap with the pattern",
        title="Hopfield network: all or nothing",
        ylim=(-0.03, 1.05),
    )
    axis.legend(loc="center left")


def _synapses(axis, results):
    size = 10_000
    for rule in results.rule.values:
        at, colour = results.sel(rule=rule), LOOKS[str(rule)]
        theory = at.synapse_signal_to_noise_theory.mean("seed") * np.sqrt(size)
        axis.plot(at.lag, theory.where(theory > 1e-3), color=colour, label=str(rule))
        measured = at.synapse_signal_to_noise * np.sqrt(size)
        _dots(axis, at.lag, measured.where(theory > 0.5), colour)
    axis.axhline(1.0, color="#999999", lw=0.8)
    axis.text(1000, 0.9, "lost below 1", fontsize=8.5, color="#555555", va="top", ha="right")
    axis.set(
        xscale="log",
        yscale="log",
        xlabel="memories stored since",
        ylabel="signal-to-noise ratio, 10,000 synapses",
        title="synapses: three laws of forgetting",
        ylim=(0.15, 150),
    )
    axis.legend(loc="lower left")


def _wong_wang(axis, results):
    import dynmem as dm

    for background in np.linspace(
        float(results.background.min()), float(results.background.max()), 151
    ):
        found = dm.theory.wong_wang(dm.systems.WongWang(background=background))
        for point, stable in zip(found.x.values, found.stable.values, strict=True):
            axis.plot(
                background,
                point[0],
                ".",
                ms=3.5 if stable else 1.4,
                color=CYCLE[2] if stable else "#999999",
                zorder=1,
            )
    ends = results.wong_wang_rest.sel(state="S1").stack(every=("seed", "start"))
    for background in results.background.values:
        axis.plot(
            np.full(ends.sizes["every"], background),
            ends.sel(background=background),
            "o",
            mfc="none",
            color=CYCLE[1],
            ms=5,
            lw=0.8,
        )
    axis.axvline(0.3255, color="#999999", lw=0.8)
    axis.set(
        xlabel="background current I0 (nA)",
        ylabel="S1, share of open NMDA gates",
        title="Wong-Wang: a choice that persists",
    )
    for colour, text, size in ((CYCLE[2], "stable", 5), ("#999999", "unstable", 3)):
        axis.plot([], [], ".", color=colour, ms=size, label=text)
    axis.plot([], [], "o", mfc="none", color=CYCLE[1], label="simulated ends")
    axis.legend()


def _bit(axis, results):
    x = 1.0 / results.noise
    axis.plot(x, results.bit_time_theory.mean("seed"), color=CYCLE[4], label="exact passage time")
    axis.plot(
        x, results.bit_time_kramers.mean("seed"), color=CYCLE[4], ls="--", lw=1.1, label="Kramers"
    )
    _dots(axis, x, results.bit_time, CYCLE[4], "measured")
    axis.set(
        yscale="log",
        xlabel="1/D, inverse noise",
        ylabel="lifetime of a bit (time constants)",
        title="flip-flop: exponential in 1/noise",
    )
    axis.legend()
