"""`coordinator collect`: the results of an exported batch, back from the cluster.

Not the collecting (`slurm.collect`). The opposite is `export`.
"""

from pathlib import Path

import click

from fallow.coordinator import render
from fallow.coordinator.verbs.options import coordinator_option, example, json_option
from fallow.shared.errors import FallowError

_SHOWN = 10


@click.command(epilog=example("coordinator collect sweep_on_cluster"))
@click.argument("out_dir", type=click.Path(path_type=Path))
@json_option
@coordinator_option
def collect(out_dir: Path, as_json: bool, coordinator: str | None) -> None:
    """Put what is back of an exported batch into OUT_DIR/results, in the layout of any results.

    Call it at any time and as often as you like: it takes what is there and whole. Jobs of a batch
    that the coordinator has are handed in there too.
    """
    from fallow.coordinator.slurm.collect import Collection
    from fallow.coordinator.slurm.exchange import hand_in

    collection = Collection(out_dir)
    meta = collection.manifest.batch.meta
    handed_in = None
    try:
        done = collection.collect()
        try:
            handed_in = hand_in(coordinator, collection, out_dir, quiet=as_json)
        except FallowError as error:
            click.echo(f"warning: not handed in at the coordinator yet: {error}", err=True)
    finally:
        collection.close()
    jobs = len(collection.jobs)
    where = (out_dir / "results" / meta.namespace / meta.batch_name).absolute()
    if as_json:
        render.print_json(
            {
                "namespace": meta.namespace,
                "batch": meta.batch_name,
                "jobs": jobs,
                "counts": render.every_state({str(key): n for key, n in done.counts.items()}),
                "taken": done.taken,
                "unchanged": done.unchanged,
                "over": done.over,
                "build": done.build,
                "problems": done.problems,
                "damaged": done.damaged,
                "results": str(where),
                "handed_in": handed_in,
            }
        )
        return
    said = ", ".join(f"{count} {state}" for state, count in sorted(done.counts.items()))
    print(f"{meta.namespace}:{meta.batch_name}: {said}")
    print(f"{done.taken} new, {done.unchanged} here already, in {where}")
    if handed_in is not None:
        print(f"handed in: {handed_in}")
    if done.build:
        print(done.build)
    _list("not succeeded:", [f"{each.job}: {each.state}, {each.reason}" for each in done.problems])
    _list(
        "not whole; fetch them again with download.sh:",
        [f"{each.job}: {each.reason}" for each in done.damaged],
    )


def _list(title: str, lines: list[str]) -> None:
    if not lines:
        return
    print(title)
    for line in lines[:_SHOWN]:
        print(f"  {line}")
    if len(lines) > _SHOWN:
        print(f"  and {len(lines) - _SHOWN} more; all are in --json")
