"""Training: pictures with masks in, a network's weights out.

``data`` reads pictures, ``transforms`` and ``batches`` change them at random, ``teacher`` adds soft labels, ``losses``
compare, ``loop`` learns, ``state`` and ``curves`` keep what came of it, ``validation`` scores it, ``course`` does
all of it in order.
"""
