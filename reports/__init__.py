"""Reports of runs and builds: Pareto fronts, hypervolume, figures and HTML pages.

This package reads only data files and its own plain records, such as `zerocross.reports.records`. It imports neither
`models` nor `hw_search` nor `finn_flows`, so a run's folder is enough to make its page. plotly, jinja2 and pymoo are
imported only where they are needed, so that the command line starts quickly.
"""
