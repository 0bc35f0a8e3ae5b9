"""The benchmark: what one process of each service does on this machine, and what a second one of car-protocol adds.

Beside the figures stand limits that were measured in the same run.
"""
