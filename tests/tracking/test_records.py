"""The records of nightly runs: appended, whole lines only."""

from optbench.tracking.records import (
    FILE,
    Record,
    add_record,
    codes_of_nights,
    last_passed,
    read_records,
)


def record(commit="a" * 40, verdict="passed", **more):
    return Record(commit=commit, started="2026-11-22T01:00:00+00:00",
                  finished="2026-11-22T02:00:00+00:00", verdict=verdict, **more)  # fmt: skip


def test_what_was_added_is_read(tmp_path):
    add_record(tmp_path, record())
    add_record(tmp_path, record("b" * 40, "regressed", codes={"adam": "x"}))
    assert [each.commit[0] for each in read_records(tmp_path)] == ["a", "b"]


def test_a_line_that_a_kill_cut_short_costs_only_itself(tmp_path):
    add_record(tmp_path, record())
    path = tmp_path / FILE
    path.write_bytes(path.read_bytes() + b'{"commit": "cccc')
    add_record(tmp_path, record("b" * 40))
    assert [each.commit[0] for each in read_records(tmp_path)] == ["a", "b"]


def test_codes_of_nights_beside_a_store_in_a_file(tmp_path):
    add_record(tmp_path, record(codes={"adam": "one", "sgd": "two"}))
    frame = codes_of_nights(str(tmp_path / "s.sqlite"))
    assert set(frame.itertuples(index=False, name=None)) == {
        ("a" * 40, "adam", "one"),
        ("a" * 40, "sgd", "two"),
    }
    assert codes_of_nights("postgresql://host/name") is None
    assert codes_of_nights(None) is None


def test_a_record_of_an_earlier_version_is_the_last_that_passed(tmp_path):
    line = record("a" * 40).model_dump_json().replace("passed", "good")
    (tmp_path / FILE).write_text(f"{line}\n")
    add_record(tmp_path, record("b" * 40, "regressed"))
    assert last_passed(tmp_path, {"a" * 40, "b" * 40}) == "a" * 40
