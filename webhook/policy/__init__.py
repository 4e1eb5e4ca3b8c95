"""The rules: values in, values out.

Nothing in this folder waits, logs, counts, reads a clock or knows a client. Time comes in as an
argument. The webhook, the controller, the command line and the audit all ask the same ``decide``.
"""
