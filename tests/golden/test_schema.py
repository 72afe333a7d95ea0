"""The published JSON Schema: what it is made to be, and that it judges files as the program does.

Run as a program, this writes the schema anew.
"""

import json
import re
from pathlib import Path

import jsonschema
import pytest
import yaml
from hypothesis import HealthCheck, given, settings

from fallow.shared import batchkeys
from fallow.shared.batch import Batch
from fallow.shared.batchfile import loads
from fallow.shared.batchschema import schema, text
from fallow.shared.errors import BatchError
from fallow.shared.keydocs import KEY_DOCS
from fallow.shared.reading import Shape
from units.generated_batches import batches

TOP = Path(__file__).parents[2]
PUBLISHED = TOP / "docs" / "fallow-batch.schema.json"
HERE = Path(__file__).parent
GOOD = sorted((HERE / "good_batches").glob("*.yaml"))
EXAMPLES = sorted((TOP / "examples").glob("*/*.yaml"))
BAD = sorted((HERE / "bad_batches").glob("*.yaml"))

# No schema sees these: the text itself, what anchors repeat, or what holds between several places.
NOT_YAML = {
    *(
        "alias_in_itself",
        "billion_laughs",
        "control_character",
        "empty",
        "key_is_a_list",
        "key_not_a_word",
    ),
    *("key_twice", "meta_twice", "not_utf8", "path_nul", "tab", "tab_after_dash", "tag"),
    *("tag_python", "too_deep", "two_documents", "unclosed", "undefined_alias", "utf16"),
}
BETWEEN = {
    *("container_checkpoint_a_file", "container_checkpoint_mounted", "container_input_called_ours"),
    *("after_itself", "alias_around_another", "alias_inside_another"),
    *(
        "alias_reserved",
        "alias_twice",
        "apptainer_job_twice",
        "checkpoint_grace_too_long",
        "checkpoint_twice",
        "memory_absurd",
    ),
    *("exclude_everything", "exclude_unknown_name", "exclude_unknown_value"),
    *("job_like_a_build_output", "job_twice", "job_twice_but_for_case", "mount_twice"),
    *("mount_in_our_place", "mount_leaves", "name_invisible", "name_reserved"),
    *("names_of_sweep_differ_in_case", "nothing_to_run", "path_needs_alias"),
    *("placeholder_awk", "placeholder_gpus_in_name", "placeholder_in_build"),
    *("placeholder_in_build_inputs", "placeholder_in_env", "placeholder_in_quotes"),
    *("placeholder_unknown", "range_log_from_zero", "range_step_zero", "range_too_long"),
    *(
        "range_wrong_way",
        "run_time_too_long",
        "sweep_name_cpus",
        "sweep_name_unknown",
        "sweep_names_collide",
    ),
    *("sweep_names_run_together", "sweep_too_large", "sweep_true_twice", "sweep_value_twice"),
    *("sweep_value_in_name_bad", "zip_of_unequal_lengths", "zip_unknown_name"),
}


class _Editor(yaml.SafeLoader):
    """Reads as editors do, by YAML 1.2: no dates, no times of day that are numbers."""


_Editor.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in found if not tag.endswith(("timestamp", "merge"))]
    for first, found in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def judged(file: Path) -> list[str]:
    """What the schema has against a file."""
    content = yaml.load(file.read_bytes(), _Editor)
    validator = jsonschema.Draft202012Validator(schema())
    return [f"{each.json_path}: {each.message}" for each in validator.iter_errors(content)]


def test_the_published_schema_is_the_one_of_the_program() -> None:
    assert json.loads(PUBLISHED.read_text()) == schema()
    assert PUBLISHED.read_text() == text()


def test_it_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(schema())


@pytest.mark.parametrize(
    "file", [*GOOD, *EXAMPLES], ids=lambda file: f"{file.parent.name}/{file.stem}"
)
def test_both_accept_what_is_good(file: Path) -> None:
    assert len(loads(file.read_bytes(), file).expansion) > 0
    assert judged(file) == []


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(batches())
def test_both_accept_what_is_written_in_python(batch: Batch) -> None:
    validator = jsonschema.Draft202012Validator(schema())
    content = yaml.load(batch.to_yaml(), _Editor)
    assert [each.message for each in validator.iter_errors(content)] == []


@pytest.mark.parametrize("file", BAD, ids=lambda file: file.stem)
def test_both_refuse_what_is_bad(file: Path) -> None:
    with pytest.raises(BatchError):
        loads(file.read_bytes(), file)
    if file.stem in NOT_YAML or file.stem.startswith("table_"):
        return  # a table is another file
    assert bool(judged(file)) == (file.stem not in BETWEEN)


def test_the_exceptions_are_there() -> None:
    assert {file.stem for file in BAD} >= NOT_YAML | BETWEEN


def shapes() -> dict[str, Shape]:
    found = {name: shape for name, shape in vars(batchkeys).items() if isinstance(shape, Shape)}
    return {"".join(map(str.title, name.split("_"))): shape for name, shape in found.items()}


def test_every_key_is_described() -> None:
    known = {name: set(shape.keys) for name, shape in shapes().items()}
    assert {name: set(docs) for name, docs in KEY_DOCS.items() if name != "Sweep"} == known


def test_other_programs_words_are_sent_to_keys_of_ours() -> None:
    for shape in shapes().values():
        assert set(shape.others.values()) <= set(shape.keys)
        assert not set(shape.others) & set(shape.keys)


def test_every_key_is_in_the_page_about_the_format() -> None:
    page = (TOP / "docs" / "batch-file.md").read_text()
    keys = {key for docs in KEY_DOCS.values() for key in docs}
    missing = [key for key in keys if not re.search(rf"(?<!\w){key}(?=[:`])", page)]
    assert missing == []


if __name__ == "__main__":
    PUBLISHED.write_text(text())
