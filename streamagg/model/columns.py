"""Columns that the rows of streamagg travel in: numpy arrays of one dimension."""

import numpy as np
import numpy.typing as npt

Int64Column = npt.NDArray[np.int64]
UInt64Column = npt.NDArray[np.uint64]
UInt32Column = npt.NDArray[np.uint32]
BoolColumn = npt.NDArray[np.bool_]
