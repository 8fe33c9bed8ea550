import pytest

from contracts.errors import TaskIdError
from contracts.task import OwnerId, new_task_id, parse_task_id, task_id_for

SECRET = b"s" * 32


def test_a_random_id_is_an_id_and_differs() -> None:
    ids = {new_task_id() for _ in range(100)}
    assert len(ids) == 100
    assert all(parse_task_id(task_id) == task_id for task_id in ids)


def test_the_same_key_of_the_same_owner_is_the_same_task() -> None:
    assert task_id_for(OwnerId("a"), "k", SECRET) == task_id_for(OwnerId("a"), "k", SECRET)


def test_owner_key_and_secret_all_count_and_do_not_run_into_each_other() -> None:
    ids = [
        task_id_for(OwnerId("a"), "bc", SECRET),
        task_id_for(OwnerId("ab"), "c", SECRET),
        task_id_for(OwnerId("a"), "b", SECRET),
        task_id_for(OwnerId("a"), "bc", b"t" * 32),
    ]
    assert len(set(ids)) == len(ids)
    assert all(parse_task_id(task_id) for task_id in ids)


@pytest.mark.parametrize("text", ["", "0" * 31, "0" * 33, "G" * 32, "A" * 32, "0" * 32 + "\n", "٠" * 32])
def test_other_text_is_no_task_id(text: str) -> None:
    with pytest.raises(TaskIdError):
        parse_task_id(text)
