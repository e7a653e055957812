"""The admission webhook: pods get their constraint at the moment they are created.

One noun a module, each importing only those above it::

    review                         AdmissionReviews: read, answered; pure
    readiness                      whether this replica may be asked
    admission                      a review of a pod -> gather, decide, apply -> an answer
    endpoint                       the ASGI application of the port
    server                         the process: sockets, watches, signals, draining
"""
