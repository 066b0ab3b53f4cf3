"""The forget bias against the time scale of memory, and the Jacobian without the cell state."""

import numpy as np

from dynmem.plotting import CYCLE, house_style, panels

NOTE = (
    "Left: first Lyapunov exponent of a random LSTM under scalar white noise (dots: mean over "
    "seeds, bars: two standard errors over seeds). The whole state (h, c) follows the mean field "
    "of infinite networks (line) and rises with the forget bias; the gate alone gives ln sigma(b) "
    "(dashes). The h-only block, from which the cell state was left out, barely moves: it misses "
    "the constant error carousel. The mean field assumes independent noise at each unit, here it "
    "is one scalar for all, and N = 32: hence the small offset. Right: test loss of the copy "
    "task from each bias, and the first exponent while waiting, before and after training."
)


def draw(results):
    """Figure of the study ``carousel``."""
    with house_style():
        figure, (left, right) = panels(
            2,
            title="What the forget bias does, and what a Jacobian without the cell state hides",
            note=NOTE,
            width=4.8,
        )
        bias = results.forget_bias
        left.axhline(0.0, color="#999999", lw=0.8)
        left.plot(
            bias,
            results.gate_law.mean("seed"),
            "--",
            color="#555555",
            label="gate alone, ln sigma(b)",
        )
        left.plot(
            bias, results.mean_field.mean("seed"), color=CYCLE[0], label="mean field, whole state"
        )
        _dots(left, results, "whole", CYCLE[0], "measured, whole state (h, c)")
        _dots(left, results, "hidden_only", CYCLE[1], "measured, h-only block")
        left.set(
            xlabel="forget bias b",
            ylabel="first Lyapunov exponent (1/step)",
            title="time scales at the start",
        )
        left.legend(loc="center right")
        _training(right, results)
        return figure


def _dots(axis, results, name, colour, label):
    spread = results[name].std("seed") / np.sqrt(max(results.sizes["seed"], 1))
    axis.errorbar(
        results.forget_bias,
        results[name].mean("seed"),
        2 * spread,
        fmt="o",
        color=colour,
        ms=4.5,
        lw=1,
        label=label,
    )


def _training(axis, results):
    axis.axhline(1.0, color="#999999", lw=0.8)
    axis.axhline(0.1, color="#999999", lw=0.8, ls=":")
    for i in range(results.sizes["seed"]):
        axis.semilogy(
            results.forget_bias,
            np.maximum(results.loss_over_floor.isel(seed=i), 1e-3),
            "o-",
            color=CYCLE[2],
            lw=0.9,
            ms=4,
            label="loss / floor, each seed" if i == 0 else None,
        )
    axis.set(
        xlabel="forget bias b at the start",
        ylabel="test loss / memoryless floor",
        title="copy task from each bias",
        ylim=(6e-4, 2.0),
    )
    twin = axis.twinx()
    twin.plot(
        results.forget_bias,
        results.waiting_before.mean("seed"),
        "s--",
        color=CYCLE[0],
        mfc="white",
        ms=4.5,
        lw=1.1,
    )
    twin.plot(
        results.forget_bias,
        results.waiting_after.mean("seed"),
        "s-",
        color=CYCLE[0],
        ms=4.5,
        lw=1.1,
    )
    twin.set_ylabel("first exponent while waiting (1/step)", color=CYCLE[0])
    twin.grid(False)
    twin.spines["right"].set_visible(True)
    axis.plot([], [], "s--", color=CYCLE[0], mfc="white", label="exponent, untrained")
    axis.plot([], [], "s-", color=CYCLE[0], label="exponent, trained")
    axis.legend(loc="center right")
