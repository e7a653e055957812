"""The controller: what is to be known or mended beside admission. Of its replicas one works, by a Lease.

One noun a module, each importing only those above it::

    queue · election                keys with backoff; who leads
    workloads                       what is remembered of templates: images, never objects
    watching                        kopf: what changes is passed on
    prefetch                        images are looked up before their pods come
    certificates                    the webhook's certificate is renewed, and trusted
    leadership                      all that the one leader does
    process                         the process: a port, signals, the candidate
"""
