"""Training of the gate: ``plantood COMMAND``; run from the checkout, not in the wheel."""
