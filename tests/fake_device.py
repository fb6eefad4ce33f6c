""" "meta" as a stand-in for a GPU: its tensors have no values, and cannot be mixed with others.

To ask for a value is an error there, as it would make a GPU be waited for.
"""

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

UPLOADS = {"aten::_to_copy", "aten::copy_", "aten::lift_fresh", "aten::detach"}


class Watch(TorchDispatchMode):
    """Collects the names of operations, all of whose tensors and generators must be on "meta".

    With `uploads`, the CPU may work by itself too, and what it has may be brought over, whole.
    """

    def __init__(self, uploads=False):
        super().__init__()
        self.names, self.uploads = set(), uploads

    def __torch_dispatch__(self, call, types, args=(), kwargs=None):
        name, values = call.name().split(".")[0], tree_leaves((args, kwargs))
        self.names.add(name)
        tensors = [value for value in values if isinstance(value, torch.Tensor)]
        places = {tensor.device.type for tensor in tensors}
        if not (self.uploads and (name in UPLOADS or places == {"cpu"})):
            assert places <= {"meta"}, name
            assert not any(isinstance(value, torch.Generator) for value in values), name
        return call(*args, **(kwargs or {}))
