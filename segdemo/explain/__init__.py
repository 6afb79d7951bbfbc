"""Why a network decided as it did: questions about one result, each in a file of its own.

``autopsy`` takes one pixel apart, ``receptive`` says what of the picture a layer can see there, ``evidence`` maps what
speaks for a class, ``mixer`` turns layers and skip connections up and down, ``hooks`` shows what a careless hook
records, ``compare`` puts two runs side by side, ``worst`` sorts many pictures, and ``card`` writes one file to send.
"""
