"""Binary networks with a candidate activation ahead of every sign.

The package holds expressions and their torch module, binary layers on Brevitas, topologies, data sets and training. It
imports none of the other packages of zerocross.
"""
