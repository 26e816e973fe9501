"""The conformance network: it is the published one, and its output counts tell the rules apart."""

import hashlib
import io
import re
from itertools import combinations

import numpy as np
import pytest

from brian_snn.cli.main import main
from brian_snn.referee.probe import STEPS, probe_arrays, probe_counts, probe_input, probe_network, probe_rules
from brian_snn.referee.probe import probe_verdict as verdict
from brian_snn.referee.probe_files import ARRAYS, HASHES, hashes, published
from tests.planted import RULES, record
from tests.test_docs import DOCS

#: Of version 1; another network is another version.
SHA256 = "6aab616f220747754cd42a9b3645b4ed61e7da63cc5fc4f3419cc255e4c5a315"


@pytest.fixture(scope="module")
def counts():
    """Return the rules that the probe knows, and their output counts."""
    rules = probe_rules(probe_network())
    return rules, probe_counts(rules)


def test_the_published_arrays_are_those_that_are_made():
    assert hashlib.sha256(published(ARRAYS)).hexdigest() == SHA256
    assert published(HASHES).decode() == hashes()
    with np.load(io.BytesIO(published(ARRAYS))) as stored:
        made = probe_arrays()
        assert set(stored.files) == set(made)
        # float32 holds them exactly.
        assert all(np.array_equal(stored[name], made[name]) for name in made)


def test_it_is_small():
    assert sum(population.size for population in probe_network().populations) == 182


def test_numbers_are_on_a_coarse_grid():
    for name, array in probe_arrays().items():
        fineness = 2**12 if name == "hidden_bias" else 2**6
        assert np.array_equal(array * fineness, np.rint(array * fineness))


def test_every_rule_has_counts_of_its_own(counts):
    rules, by_rule = counts
    alone = [row for rule, row in zip(rules, by_rule, strict=True) if len(rule.rules) < 2]
    assert len({tuple(row) for row in alone}) == len(alone) == 54


def test_most_pairs_have_too(counts):
    rules, by_rule = counts
    assert (len(rules), len({tuple(row) for row in by_rule})) == (231, 185)


@pytest.mark.parametrize("rules", [(), *((rule,) for rule in RULES), *combinations(RULES[:4], 2)], ids=" and ".join)
def test_a_plain_loop_by_a_rule_is_given_that_rule(counts, rules):
    output = record(probe_network(), probe_input(), rules, steps=STEPS)["out"].sum(axis=(0, 1))
    candidates, by_rule = counts
    fitting = [c.name for c, row in zip(candidates, by_rule, strict=True) if np.array_equal(row, output)]
    assert fitting[0] == (" and ".join(rules) or "Eq. (4b)")


def test_the_loop_of_the_page_is_eq_4b(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["probe", "make", "probe"]) == 0
    (code,) = re.findall(r"```python\n(.*?)```", (DOCS / "probe.md").read_text("utf-8"), re.DOTALL)
    capsys.readouterr()
    exec(compile(code, "probe.md", "exec"), {})
    (tmp_path / "counts.txt").write_text(capsys.readouterr().out)
    assert main(["probe", "verdict", "counts.txt"]) == 0
    assert "brian_snn probe v1: Eq. (4b)\n" in capsys.readouterr().out


def test_another_rule_is_1_and_no_output_is_2(tmp_path, capsys):
    above = record(probe_network(), probe_input(), ("> instead of >=",), steps=STEPS)["out"]
    np.savez(tmp_path / "run.npz", **{"spikes/out": above})
    assert main(["probe", "verdict", f"{tmp_path}/run.npz"]) == 1
    assert "brian_snn probe v1: > instead of >=\n" in capsys.readouterr().out
    np.savez(tmp_path / "run.npz", **{"counts/out": above.sum(axis=1)})
    assert main(["probe", "verdict", f"{tmp_path}/run.npz"]) == 1
    (tmp_path / "run.txt").write_text("1 2 three")
    assert main(["probe", "verdict", f"{tmp_path}/run.txt"]) == 2


def test_counts_of_no_rule_are_said_to_be_none():
    assert verdict(np.arange(16)).statement == "brian_snn probe v1: no rule explains the output"


def test_a_folder_that_is_there_is_kept(tmp_path):
    (tmp_path / "probe").mkdir()
    (tmp_path / "probe" / "mine").write_text("mine")
    assert main(["probe", "make", f"{tmp_path}/probe"]) == 2
    assert [path.name for path in (tmp_path / "probe").iterdir()] == ["mine"]
