"""The lab: trains, measures and exports Voxproof's own detector. Needs the `[lab]` extra; the server never imports it."""
