"""Names of classes: the data set's, the model's, or numbers; never one for two classes."""

from __future__ import annotations

import pytest
from torch import nn

from certiseg.errors import InputError
from certiseg.models.loaded import LoadedModel
from certiseg.runs.class_style import class_style


def test_a_models_names_must_differ() -> None:
    loaded = LoadedModel("m", nn.Identity(), 3, ("a", "b", "a"))
    with pytest.raises(InputError, match="m: expected each class once, got 'a' twice; rename one"):
        class_style(loaded, 3)
    # Of another number of classes they name nothing.
    assert class_style(loaded, 2).classes == ("class 0", "class 1")
