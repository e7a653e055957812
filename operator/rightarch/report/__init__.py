"""The readiness report: which workloads can run on an architecture, what keeps the others, and what that is worth.

One noun a module. Pure, from values to values::

    resources                 amounts of CPU and memory
    requests                  what the scheduler reserves for a pod
    nodes                     the machines
    workload · inventory      pods, grouped by who answers for them
    verdict                   whether a workload can run there: asked of the engine that decides for pods
    prices · money            what is stated of prices, and what workloads cost by it
    architectures             which ones there are anywhere
    tags · storage            which tags are newer ones of the same flavour; how large images are
    omissions                 what may not be read, and what that means
    manifests                 files in place of a cluster
    report                    all of it as one value, ranked

Edges::

    collecting                the objects of a cluster, a page at a time
    pulling · looking         credentials and look-ups of images
    prometheus                prices by Karpenter's metrics
    updates                   what registries tell of newer tags
"""
