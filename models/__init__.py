"""Binary networks whose signs carry candidate activations.

Expressions and their torch module, binary layers on Brevitas, topologies, data sets and training. This
package imports torch and Brevitas only; it knows nothing of hardware or of the search.
"""

import logging

# Brevitas looks for a CUDA compiler it does not need here; torch would warn of it at every start.
logging.getLogger("torch.utils.cpp_extension").addFilter(lambda record: "No CUDA runtime" not in record.msg)
