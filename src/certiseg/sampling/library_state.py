"""What objects of libraries keep beside what a pass computes with, and what shows nothing."""

from __future__ import annotations

import functools
import types

from torch import fx, nn


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


HOOKS = (
    ("_forward_pre_hooks", ("_forward_pre_hooks_with_kwargs",)),
    ("_forward_hooks", ("_forward_hooks_with_kwargs", "_forward_hooks_always_called")),
)
"""Of a module, and the options of each."""
LISTENS = "output_capturing_hook"
"""How transformers calls the hooks that it installs in the first pass; they change no output."""
_OF_MODULES = _words("""
    _parameters _buffers _modules _forward_hooks _forward_pre_hooks _forward_hooks_with_kwargs
    _forward_hooks_always_called _forward_pre_hooks_with_kwargs _backward_hooks
    _backward_pre_hooks _is_full_backward_hook _non_persistent_buffers_set _state_dict_hooks
    _state_dict_pre_hooks _load_state_dict_pre_hooks _load_state_dict_post_hooks
    _compiled_call_impl _is_torch_compile _output_capturing_hooks_installed
""")
_OF_PROGRAMS = _words("""
    _graph _code _lineno_map _prologue_start _tracer_cls _tracer_extras meta _replace_hooks
    _create_node_hooks _erase_node_hooks _deepcopy_hooks shape_env train eval
""")
"""Of torch.fx: the code of their forward says it all."""
_OF_COMPILED = _words("""
    dynamo_ctx forward _super_module_initialized _torchdynamo_orig_callable
    _torchdynamo_wrapper_id get_compiler_config
""")
NAMES = frozenset(("model_name", "name_or_path", "_name_or_path"))
"""What libraries call a model, and where they found it."""
PARTS: dict[type, tuple[str, ...]] = {
    staticmethod: ("__func__",),
    classmethod: ("__func__",),
    property: ("fget",),
    functools.cached_property: ("func",),
    functools.partial: ("func", "args", "keywords"),
    functools.partialmethod: ("func", "args", "keywords"),
    type(functools.lru_cache(len)): ("__wrapped__",),
    types.MethodType: ("__self__", "__func__"),
    types.SimpleNamespace: ("__dict__",),
    slice: ("start", "stop", "step"),
}
"""What Python's own wrappers are made of; caches follow from what they call."""
HARMLESS = _words("""
    _thread.lock _thread.RLock logging.Logger logging.RootLogger torch.device
    torch.utils.hooks.RemovableHandle builtins.member_descriptor builtins.getset_descriptor
""")
"""Types whose objects change no label, whatever they hold; and the device, which may change."""
RANDOM = ("torch._C.Generator", "random.", "numpy.random.")
OUTSIDE = _words("""
    aiohttp boto3 ctypes grpc http httpx multiprocessing ray requests socket sqlite3 subprocess
    tritonclient urllib urllib3 websockets
""")
"""Packages that lead out of the process; and builtins that do."""
CALLS = _words("""
    open eval exec input globals __import__
""")
PLAIN = _words("""
    _collections _decimal argparse array builtins collections copyreg datetime decimal fractions
    functools itertools operator re types typing uuid
""")
"""Of the standard library: modules whose objects are no more than what they show."""


def kept_by(module: nn.Module) -> frozenset[str]:
    """Attributes of a module that change nothing of a pass, or are read in another way."""
    home = type(module).__module__
    own = _OF_COMPILED if home.startswith("torch._dynamo") else frozenset()
    if isinstance(module, fx.GraphModule):
        own |= _OF_PROGRAMS
    # What weight_norm and its like compute anew in each pass.
    anew = {
        str(hook.name)
        for hook in module._forward_pre_hooks.values()
        if type(hook).__module__.startswith("torch.nn.utils") and hasattr(hook, "name")
    }
    return _OF_MODULES | own | anew
