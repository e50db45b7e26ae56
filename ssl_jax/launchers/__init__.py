"""Starting runs: several processes of one run, many runs of a sweep, on this machine or through an engine."""
