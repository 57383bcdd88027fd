from __future__ import annotations

from typing import Literal

import pytest
from pydantic import Field

from embedtune.errors import OptionsError
from embedtune.options import Options


class Tea(Options):
    minutes: int = Field(default=2, ge=1, description="How long.")
    kind: Literal["green", "black"] = Field(default="green", description="Which.")


def test_unknown_key_names_the_nearest():
    with pytest.raises(OptionsError, match=r"unknown option 'minuts'; did you mean 'minutes'\?"):
        Tea(minuts=3)


def test_unknown_choice_names_the_nearest():
    with pytest.raises(OptionsError, match=r"'grean'; did you mean 'green'\?"):
        Tea(kind="grean")


def test_all_faults_at_once():
    with pytest.raises(OptionsError) as caught:
        Tea(minutes=0, kind="x", sugar=1)
    assert len(str(caught.value).splitlines()) == 4
    assert "'minutes'" in str(caught.value)
    assert "'sugar'" in str(caught.value)


def test_options_are_frozen():
    with pytest.raises(Exception, match="frozen"):
        Tea().minutes = 3
