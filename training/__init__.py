"""Training of the gate: ``python -m training COMMAND``; run from the checkout, not in the wheel."""
