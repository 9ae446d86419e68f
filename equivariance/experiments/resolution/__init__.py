"""How fine a grid has to be: the error of sampling against the spacing, measured and foretold from the spectrum."""
