import io

import rich.console

from ssl_jax.report import results_table, table

RESULTS = {
    "pretrained/knn_full": 0.97,
    "pretrained/knn_1shot": 0.82,
    "pretrained/knn_1shot/std": 0.04,
    "raw/knn_1shot": 0.64,
    "raw/knn_1shot/std": 0.05,
    "untrained/knn_1shot": 0.46,
    "raw/knn_full": 0.98,
    "pretrained/rank_me": 20.5,
    "seconds": 43.0,
}


def test_measures_down_and_stages_across():
    built = table.build(RESULTS)
    assert built.stages == ("Raw input", "Untrained", "Pretrained")
    assert [row.name for row in built.rows] == ["1-shot kNN", "Full kNN", "Effective rank"]
    assert built.rows[0].cells == ("64.0 ± 5.0 %", "46.0 %", "82.0 ± 4.0 %")
    assert built.rows[1].cells == ("98.0 %", "", "97.0 %")
    assert not built.expects


def test_the_best_accuracy_is_stressed_even_if_it_is_not_ours():
    assert [row.best for row in table.build(RESULTS).rows] == [2, 0, None]


def test_expected_numbers_stand_beside_ours():
    expected = {"results": {"pretrained/knn_1shot": 0.8, "linear": 0.9}, "source": "Table 6", "minutes": 1.0}
    built = table.build(RESULTS, expected)
    assert {row.name: row.expected for row in built.rows if row.expected} == {
        "1-shot kNN": "80.0 %",
        "Linear probe": "90.0 %",
    }
    assert {row.name: row.cells for row in built.rows}["Linear probe"] == ("", "", "")


def test_numbers_beside_the_expected_results_are_no_results():
    assert table.expected_numbers({"hours": 15.0, "margins": {"linear": 0.1}}) == {}


def test_expected_of_the_untrained_network_is_not_taken_for_ours():
    assert table.expected_numbers({"results": {"untrained/linear": 0.3, "pretrained/linear": 0.9}}) == {"linear": 0.9}


def test_printed_table_fits_80_columns():
    console = rich.console.Console(file=io.StringIO(), width=80)
    console.print(results_table(RESULTS, {"results": {"knn_1shot": 0.8}}))
    text = console.file.getvalue()
    for word in ("Raw input", "Untrained", "Pretrained", "Expected", "82.0 ± 4.0 %", "80.0 %", "20.5"):
        assert word in text


def test_no_results():
    assert table.build({}).rows == ()
    assert results_table({}).row_count == 0
