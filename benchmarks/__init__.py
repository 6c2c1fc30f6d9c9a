"""What is measured, and against what. `make bench` prints ratios taken in one run; absolute figures vary by machine."""
