"""Reads a registry as Prometheus would. No test lives here."""


def series(registry, name):
    """The samples of `name` with their values, by their labels' values in the labels' order."""
    return {
        tuple(value for _, value in sorted(sample.labels.items())): sample.value
        for family in registry.collect()
        for sample in family.samples
        if sample.name == name
    }


def value(registry, series_name, /, **labels):
    """The value of one sample; None if there is none."""
    return registry.get_sample_value(series_name, labels)
