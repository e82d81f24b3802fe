import numpy as np
import pandas as pd

from ggcam.data.schema import CASES, cases_schema, label_columns, label_matrix, labels_in

CLASSES = ("Normal", "High lung volume / emphysema")


def test_single_labels_are_indices_and_one_hot_rows():
    table = pd.DataFrame({"label": [1, 0, 1]})
    assert labels_in(table, CLASSES).tolist() == [1, 0, 1]
    assert label_matrix(table, CLASSES, multi_label=False).tolist() == [[0, 1], [1, 0], [0, 1]]


def test_multi_labels_are_read_by_the_names_of_the_classes():
    schema = cases_schema(CLASSES, multi_label=True)
    names = label_columns(schema.names)
    assert names == ["label_Normal", "label_High lung volume / emphysema"]
    table = pd.DataFrame({names[1]: [1, None], names[0]: [0, 1]})  # the order of the columns does not matter
    expected = [[0.0, 1.0], [1.0, np.nan]]
    np.testing.assert_array_equal(labels_in(table, CLASSES), expected)
    np.testing.assert_array_equal(label_matrix(table, CLASSES, multi_label=True), expected)


def test_only_labels_differ_between_the_schemas():
    single, multi = set(CASES.names), set(cases_schema(CLASSES, multi_label=True).names)
    assert single - multi == {"label"}
    assert len(multi - single) == 2
    assert label_columns(CASES.names) == ["label"]
