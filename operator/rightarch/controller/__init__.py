"""The controller: what is to be known or mended beside admission. Of its replicas one works, by a Lease.

One noun a module, each importing only those above it::

    queue · election                keys with backoff; who leads
    workloads                       what is remembered of templates: images, never objects
    watching · lists                kopf tells what changes; full lists find what it missed
    events                          what is said about objects
    managers                        who owns which fields of an object
    prefetch                        images are looked up before their pods come
    daemonsets                      templates whose images were not known in time
    held · awaited                  pods that our gate holds; images that they wait for
    gates                           such pods are released
    census                          pods that were never seen, and those that are misplaced
    policies                        what becomes of each policy, in its status
    rechecks                        whether credentials may still read what they did
    certificates                    the webhook's certificate
    leadership                      all that the leader does for workloads and pods
    process                         the process: a port, signals, the candidate and its duties
"""
