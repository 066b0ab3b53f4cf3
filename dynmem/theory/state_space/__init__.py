"""State-space models on paper: kernels and spectra."""
