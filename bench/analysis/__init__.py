"""Records to figures: frames, costs, estimates, summary, findings, history."""
