"""The coverage-guided fuzzer: arbitrary bytes into every parser, and what must hold whatever they are.

`make fuzz ARGS="--seconds 600"` runs it; `targets` has one module a parser, `seeds` what it starts from.
"""
