"""The admission webhook: pods get their constraint at the moment they are created.

One noun a module, each importing only those above it::

    form                           what the fields look like that are read; pure
    review                         AdmissionReviews: read, answered; pure
    readiness                      whether this replica may be asked
    admission                      a review -> gather, decide, apply -> an answer
    pods · workloads               which is of a pod, or of a workload
    live                           warnings about pods that are on a node already
    endpoint                       the ASGI application of the port
    server                         the process: sockets, watches, signals, draining
"""
