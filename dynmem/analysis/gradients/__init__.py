"""How far back does a gradient reach? Gradients over the lag, horizons, paths, receptive fields,
depth."""
