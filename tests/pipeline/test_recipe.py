from __future__ import annotations

import pytest
from tests.conftest import SAMPLE

from embedtune.errors import OptionsError, StorageError
from embedtune.mine.options import MineOptions
from embedtune.models.encoder import EncoderOptions
from embedtune.pipeline.recipe import Recipe, Reference
from embedtune.train.options import TrainOptions

GOOD = f"""
data: {SAMPLE}
encoder: minilm
encoder_options: {{precision: float32}}
steps:
  split: {{data: data, val: 0.25}}
  mine: {{data: split, from: 2, negatives: 3}}
  train: {{data: mine, learning_rate: 1e-5, max_length: 64}}
  tuned: {{do: eval, data: split, encoder: train}}
  bm25: {{do: eval, data: split, retriever: bm25}}
  report: {{data: split, runs: [bm25, tuned], models: train, mining: mine}}
"""


@pytest.fixture
def read(tmp_path):
    def read_text(text, *changes):
        path = tmp_path / "recipe.yaml"
        path.write_text(text, encoding="utf-8")
        return Recipe.read(path, changes)

    return read_text


def test_steps_have_typed_options_and_references(read):
    recipe = read(GOOD)
    assert [step.name for step in recipe.steps] == ["split", "mine", "train", "tuned", "bm25", "report"]
    train = recipe.step("train")
    assert train.options[TrainOptions].learning_rate == 1e-5
    assert train.options[EncoderOptions] == EncoderOptions(precision="float32", max_length=64)
    assert recipe.step("mine").options[MineOptions].from_ == 2
    assert train.inputs["data"] == Reference("mine", "mine", "dataset.json")
    assert train.inputs["encoder"] == Reference("minilm")
    assert recipe.step("report").inputs["runs"]["bm25"] == Reference("bm25", "bm25", "evaluation")
    assert recipe.step("report").inputs["mining"] == Reference("mine", "mine", "mining.json")
    assert "encoder" not in recipe.step("bm25").inputs
    assert recipe.step("split").inputs["data"] == Reference(str(SAMPLE))


def test_all_faults_are_said_at_once_with_their_lines(read):
    text = (
        GOOD.replace("learning_rate", "lerning_rate").replace("val: 0.25", "val: 2").replace("encoder: t", "encodr: t")
    )
    text = text.replace("data: mine", "data: tuned").replace("  report: {", "  report: {mesure: x, ") + "stps: 1\n"
    with pytest.raises(OptionsError) as caught:
        read(text)
    said = str(caught.value)
    for line, words in {
        6: "step 'split': option 'val': Input should be less than 1, found 2",
        8: "unknown option 'lerning_rate'; did you mean 'learning_rate'?",
        9: "unknown option 'encodr'; did you mean 'encoder'?",
        11: "unknown option 'mesure'; did you mean 'measure'?",
        12: "unknown key 'stps'; did you mean 'steps'?",
    }.items():
        assert any(f"recipe.yaml:{line}: " in one and words in one for one in said.splitlines()), (line, said)
    assert "the step 'tuned' comes later" in said


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("train: {data", "tain: {data", "unknown kind of step 'tain'; did you mean 'train'?"),
        ("encoder: train", "encoder: tran", "'tran' is neither a step before nor a file; did you mean 'train'?"),
        (
            "{data: split, from",
            "{data: splt, from",
            "'splt' is neither a step before nor a file; did you mean 'split'?",
        ),
        ("data: mine", "data: split, method: lorra", "unknown method 'lorra'; did you mean 'lora'?"),
        ("mining: mine", "mining: split", "option 'mining' takes a mining, and the step 'split' gives dataset"),
        ("{data: mine,", "{", "option 'data' is missing"),
        ("encoder: minilm", "", "option 'encoder' is missing"),
        ("  tuned:", "  encoder:", "a step can't be called 'encoder'"),
        ("from: 2", "from: 2, from: 3", "the key 'from' stands twice"),
        ("steps:", "steps: [", "this isn't YAML"),
        ("precision: float32", "precison: float32", "unknown option 'precison'; did you mean 'precision'?"),
        ("runs: [bm25, tuned]", "runs: bm25", "expected name → step, found 'bm25'"),
        ("train: {data: mine", "train: {data: [mine]", "expected a step's name or a path, found ['mine']"),
    ],
)
def test_mistakes(read, old, new, said):
    assert old in GOOD
    with pytest.raises(OptionsError) as caught:
        read(GOOD.replace(old, new))
    assert said in str(caught.value)


def test_a_recipe_that_isnt_there(tmp_path):
    with pytest.raises(StorageError, match="embedtune init"):
        Recipe.read(tmp_path / "none.yaml")


def test_changes_from_the_command_line(read):
    recipe = read(GOOD, "train.learning_rate=2e-5", "encoder_options.precision=auto", "guard.mine=" + str(SAMPLE))
    assert recipe.step("train").options[TrainOptions].learning_rate == 2e-5
    assert recipe.step("train").options[EncoderOptions].precision == "auto"
    assert recipe.step("train").inputs["guard"] == {"mine": Reference(str(SAMPLE))}
    for change, said in {
        "train.lr=1e-5": "--set train.lr=1e-5: step 'train': unknown option 'lr'; did you mean 'learning_rate'?",
        "tran.epochs=1": "unknown key 'tran'; did you mean 'train'?",
        "train.epochs=none": "--set train.epochs=none: step 'train': option 'epochs': Input should be a valid integer",
        "train.epochs": "expected KEY=VALUE",
        "split.val.x=1": "'val' has no keys of its own",
    }.items():
        with pytest.raises(OptionsError) as caught:
            read(GOOD, change)
        assert said in str(caught.value)
