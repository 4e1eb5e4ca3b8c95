"""The rules: values in, values out.

Nothing in this folder waits, logs, counts, reads a clock or knows a client. Time comes in as an argument.
Webhooks and command line ask one ``decide``, the controller one ``plan``, on the same governance and inputs.
"""
