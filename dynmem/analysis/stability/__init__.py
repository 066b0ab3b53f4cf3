"""Where does a system stay? Fixed points, cycles and spectra."""
