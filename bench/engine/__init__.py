"""The parent's side: conductor, launch, fleet, turn order, equal work."""
