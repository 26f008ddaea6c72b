"""Tables for ``introspection``: state of libraries' objects that does not affect a model's output,
and objects whose state cannot be read."""

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
"""Attributes of a module that hold hooks, each with those that hold options of the hooks."""
LISTENS = "output_capturing_hook"
"""Name of hooks that transformers installs in the first pass; they do not change the output."""
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
"""Attributes of torch.fx programs that are redundant with the code of ``forward``."""
_OF_COMPILED = _words("""
    dynamo_ctx forward _super_module_initialized _torchdynamo_orig_callable
    _torchdynamo_wrapper_id get_compiler_config
""")
NAMES = frozenset(("model_name", "name_or_path", "_name_or_path"))
"""Attributes in which libraries store a model's name or path."""
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
"""Attributes that determine Python's wrapper objects."""
HARMLESS = _words("""
    _thread.lock _thread.RLock logging.Logger logging.RootLogger torch.device
    torch.utils.hooks.RemovableHandle builtins.member_descriptor builtins.getset_descriptor
""")
"""Types whose objects do not affect labels; also the device, which may change."""
RANDOM = ("torch._C.Generator", "random.", "numpy.random.")
OUTSIDE = _words("""
    aiohttp boto3 ctypes grpc http httpx multiprocessing ray requests socket sqlite3 subprocess
    tritonclient urllib urllib3 websockets
""")
"""Packages with which code depends on state outside the process."""
CALLS = _words("""
    open eval exec input globals __import__
""")
"""Builtins with which code depends on more than can be read from it."""
PLAIN = _words("""
    _collections _decimal argparse array builtins collections copyreg datetime decimal fractions
    functools itertools operator re types typing uuid
""")
"""Modules of the standard library whose objects are fully described by their visible state."""


def kept_by(module: nn.Module) -> frozenset[str]:
    """Attributes of a module that do not affect a pass, or that are read in another way."""
    home = type(module).__module__
    names = _OF_COMPILED if home.startswith("torch._dynamo") else frozenset()
    if isinstance(module, fx.GraphModule):
        names |= _OF_PROGRAMS
    # Weights that weight_norm and the like recompute in each pass.
    recomputed = {
        str(hook.name)
        for hook in module._forward_pre_hooks.values()
        if type(hook).__module__.startswith("torch.nn.utils") and hasattr(hook, "name")
    }
    return _OF_MODULES | names | recomputed
