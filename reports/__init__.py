"""What a run found, shown to a person: Pareto fronts, hypervolume, figures and one HTML page.

This package reads data files and the plain records of `zerocross.reports.records`, and nothing else: it imports
neither `models` nor `hw_search` nor `finn_flows`, so a page can be made on a machine that holds only a
run's folder. plotly, jinja2 and pymoo are imported where they are needed, for the sake of a quick start.
"""
