from __future__ import annotations

import numpy as np
import pytest

from pantoum.errors import SettingError
from pantoum.text.numbers import joined, smallest_dtype, whole_numbers


@pytest.mark.parametrize(("count", "width"), [(2, 1), (256, 1), (257, 2), (65_536, 2), (65_537, 4)])
def test_numbers_are_kept_in_the_narrowest_type(count: int, width: int) -> None:
    assert smallest_dtype(count).itemsize == width


def test_no_blocks_are_no_numbers() -> None:
    assert joined([]).dtype == np.uint32 and len(joined([])) == 0


def test_ids_of_any_kind_are_checked() -> None:
    assert whole_numbers(np.array([1, 2], np.uint8), 3) == whole_numbers(iter([1, 2]), 3) == [1, 2]
    with pytest.raises(SettingError, match="ids is 3: it must be token numbers from 0 to 2"):
        whole_numbers([0, 3], 3)
