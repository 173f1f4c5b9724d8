"""The temporal ladder's tasks: each isolates one ability to see time, and proves who lacks it.

Clip n of a subset is one *orbit*: its versions in all classes are drawn from the same random
numbers, and in most tasks they are permutations of the same frames. A network that cannot see
what tells them apart gives all of them one answer, and scores exactly 1 / number of classes.
"""
