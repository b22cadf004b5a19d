"""Binary networks whose signs carry candidate activations.

Expressions and their torch module, binary layers on Brevitas, topologies, data sets and training. This
package imports torch and Brevitas only; it knows nothing of hardware or of the search.
"""
