"""Work that threads share."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from zoo.images import WORKERS, in_order


@pytest.mark.parametrize("count", [0, 1, 5, 100])
@pytest.mark.parametrize(("ahead", "per_task"), [(1, 1), (8, 3), (64, 16)])
def test_results_come_in_order_and_few_are_begun_before_they_are_asked_for(
    count: int, ahead: int, per_task: int
) -> None:
    begun: list[int] = []

    def work(item: int) -> int:
        begun.append(item)
        time.sleep(0.001 * (item % 3))
        return -item

    with ThreadPoolExecutor(WORKERS) as pool:
        results = in_order(pool, work, range(count), ahead=ahead, per_task=per_task)
        for i in range(min(count, 3)):
            assert next(results) == -i
            time.sleep(0.01)
            assert len(begun) <= max(ahead, per_task) + (i + 1) * per_task
        assert list(results) == [-i for i in range(min(count, 3), count)]
    assert sorted(begun) == list(range(count))


def test_few_items_are_shared_among_the_threads() -> None:
    threads = set()

    def work(item: int) -> None:
        threads.add(threading.get_ident())
        time.sleep(0.05)

    with ThreadPoolExecutor(WORKERS) as pool:
        list(in_order(pool, work, range(2 * WORKERS), ahead=1_000))
    assert len(threads) == WORKERS


def test_no_item_is_begun_after_an_error() -> None:
    begun: list[int] = []

    def work(item: int) -> None:
        begun.append(item)
        time.sleep(0.002)
        if item == 5:
            raise ValueError

    with ThreadPoolExecutor(WORKERS) as pool, pytest.raises(ValueError):  # noqa: PT011  # it is ours
        list(in_order(pool, work, range(10_000), ahead=10_000, per_task=1))
    assert len(begun) < 100


def test_no_item_is_begun_after_the_caller_stops() -> None:
    begun: list[int] = []

    def work(item: int) -> None:
        begun.append(item)
        time.sleep(0.002)

    with ThreadPoolExecutor(WORKERS) as pool:
        results = in_order(pool, work, range(10_000), ahead=10_000, per_task=100)
        time.sleep(0.02)
        results.close()
        next(in_order(pool, work, range(1), ahead=1), None)
    assert len(begun) < 100
