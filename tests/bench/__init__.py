"""The benchmark: what one process of each service does on this machine, and what a second one of car-protocol adds.

`table` says what is measured, how, and with which goals; `measurements` has one module for each, `load` what plays the cars,
apps and callers. Beside the figures stand limits that were measured in the same run.
"""
