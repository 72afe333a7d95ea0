"""Results of many files are listed in pages that fit into a message.

Not the fetching of the files: tests/main_job pulls.
"""

from msgspec.structs import replace

from fallow.coordinator.answers import Answers
from fallow.coordinator.core import Core
from fallow.coordinator.deposits import Deposited
from fallow.coordinator.store import Store
from fallow.shared.blobs import BlobStore
from fallow.shared.ids import AttemptId
from fallow.shared.messages import Pull, encode
from fallow.shared.moments import Moment
from fallow.shared.runs import OutputFile
from store.made import HASH, UID, a_batch, a_deposit, a_job


def test_a_page_holds_what_a_message_can(store: Store, blobs: BlobStore) -> None:
    few, many = 3, 10_000
    long = "/".join(["a" * 200] * 5)
    store.commit([a_batch(jobs=4), *(a_job(index) for index in range(4))])
    for index, count in enumerate((few, many, many, few)):
        files = tuple(OutputFile(f"{long}/{number}", HASH, 1) for number in range(count))
        deposit = replace(a_deposit(), attempt=AttemptId(UID, index, 1), job=f"job_{index}")
        store.commit([Deposited(deposit, files, ())])
    core = Core("boot")
    core.restore(store.load(), Moment(1.0, 1.0))
    answers = Answers(core, store, blobs, lambda *_: None, lambda *_: None)
    pages, after = [], 0
    while True:
        page = answers.pull(Pull("ana:sweep", after=after))
        assert len(encode(page)) < 32 << 20
        pages.append([(job.job, len(job.files)) for job in page.jobs])
        if page.next is None:
            break
        after = page.next
    assert pages == [[("job_0", few)], [("job_1", many)], [("job_2", many)], [("job_3", few)]]
    assert answers.pull(Pull("ana:sweep", after=4)).next is None
    assert [job.job for job in answers.pull(Pull("ana:sweep", after=-5)).jobs] == ["job_0"]
