"""The description of a model: its numbers and statements against Brian2's objects and dense matrices, and its form."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from brian2 import Equations, ms
from markdown_it import MarkdownIt

import brian_snn
from brian_snn.__main__ import main
from brian_snn.backends.brian_objects import brian_network
from brian_snn.errors import ModelError, OptionError, SettingError
from brian_snn.network.records import INPUT, Geometry, Projection
from brian_snn.network.synapses import fan_in
from brian_snn.neurons.poisson import coded_network
from brian_snn.settings import Settings
from brian_snn.simulation.topology import topology
from tests.command_line import fails_cleanly
from tests.simulation_cases import RUNS, VARIANTS, variant_network
from tests.small_network import map_matrix, projection_matrix, small_network

CASES = {**RUNS, **VARIANTS, "frames": {"input_coding": "frames"}, "float32": {"float_type": "float32"}}
BLOCKS = {
    "equations": "State variables and parameters:",
    "synapse": "A synapse onto it, on a spike that arrives:",
    "read": "A synapse onto it, in every step:",
    "integrate": "In its slot integrate:",
    "threshold": "It spikes if:",
    "reset": "On a spike:",
    "arrival": "A spike arrives at the targets if:",
}

#: What one would type into a name to have something else than a name.
HOSTILE = [
    "a | b",
    "```\n# heading",
    "`x` `` y",
    "<img src=x onerror=alert(1)>",
    "[text](https://example.org)",
    "https://example.org www.example.org a@example.org",
    "**bold** _it_ $x$ &amp; ~~gone~~",
    "\x1b[2Jscreen\u202etxt.\r\n| forged | row |",
    "end\\",
    " ",
    "",
    "\\| ` |",
]


def tokens(text):
    """Return the tokens of a text, as a renderer with tables sees it."""
    return MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(text)


def tables(text):
    """Return every table as rows of cells, the head first; a cell is the text that is shown."""
    found = []
    for token in tokens(text):
        if token.type == "table_open":
            found.append([])
        elif token.type == "tr_open":
            found[-1].append([])
        elif token.type == "inline" and found and token.level > 2:
            found[-1][-1].append("".join(child.content for child in token.children))
    return found


def table_with(text, *columns):
    """Return the rows of the table that begins with these columns, as dicts."""
    (rows,) = (rows for rows in tables(text) if rows[0][: len(columns)] == list(columns))
    return [dict(zip(rows[0], row, strict=True)) for row in rows[1:]]


def models(text):
    """Return the blocks of each neuron model by its name."""
    found, name, title = {}, None, None
    for token in tokens(text):
        if token.type == "inline" and (match := re.match(r"(M\d+): ", token.content)):
            name = match[1]
            found[name] = dict.fromkeys(BLOCKS, "")
        elif token.type == "inline":
            title = next((key for key, words in BLOCKS.items() if token.content == words), title)
        elif token.type == "fence":
            found[name][title] = token.content
    return found


def statements(code):
    """Return the statements of a piece of code, one a line."""
    return [line.strip() for line in code.splitlines() if line.strip()]


@pytest.fixture(scope="module", params=CASES)
def described(request):
    """Return network as simulated, settings, description and live Brian2 objects."""
    network, settings = variant_network(CASES[request.param]), Settings(**CASES[request.param])
    if settings.float_type == "float32":
        settings = replace(settings, steps=1)
    coded = coded_network(network, settings)
    objects = brian_network(topology(coded, replace(settings, projection="synapses", backend="runtime")))
    return coded, settings, brian_snn.describe(network, settings), objects


def test_every_statement_is_that_of_the_live_group(described):
    network, _, text, objects = described
    found = models(text)
    names = {row["name"]: row["model"] for row in table_with(text, "name", "kind")}
    for population, group in zip(network.populations, objects.groups, strict=True):
        model = found[names[population.name]]
        assert str(Equations(model["equations"])) == str(group.user_equations)
        assert statements(model["threshold"]) == statements(group.events.get("spike", ""))
        assert statements(model["reset"]) == statements(group.event_codes.get("spike", ""))
        assert statements(model["arrival"]) == statements(group.events.get("arrival", ""))
        integrates = [o for o in group.contained_objects if "run_regularly" in o.name]
        code = integrates[0].abstract_code if integrates else ""
        assert statements(model["integrate"]) == statements(code)
    for synapses in objects.links:
        # Where excitation and inhibition arrive apart, both have the synapses of a projection.
        if hasattr(synapses, "pre") and "inhibition" not in synapses.name:
            position = objects.groups.index(synapses.target)
            model = found[names[network.populations[position].name]]
            weight, *on_pre = statements(model["synapse"] + model["read"])
            assert (synapses.pre.event == "read") == bool(model["read"])
            on_pre = on_pre if weight == "w : 1 (constant)" else [weight, *on_pre]
            assert on_pre == statements(synapses.pre.code)
            assert ("w" in synapses.variables) == (weight == "w : 1 (constant)")


def test_every_model_is_there_once_and_belongs_to_a_population(described):
    text = described[2]
    contents = [tuple(blocks.values()) for blocks in models(text).values()]
    assert len(set(contents)) == len(contents)
    assert sorted(set(models(text))) == sorted({row["model"] for row in table_with(text, "name", "kind")})


def test_synapses_are_counted_as_brian2_and_a_matrix_count_them(described):
    network, _, text, objects = described
    rows = table_with(text, "source", "target")
    spiking = [p for p in network.projections if p.source != INPUT]
    links = [link for link in objects.links if "inhibition" not in link.name]
    for row, projection, link in zip(rows, spiking, links, strict=True):
        assert (row["source"], row["target"]) == (projection.source, projection.target)
        pattern = pattern_of(projection, network)
        assert int(row["synapses"]) == pattern.sum()
        if hasattr(link, "pre"):
            assert int(row["synapses"]) == len(link)
        assert row["fan-in"] == f"{pattern.sum(axis=0).min()} to {pattern.sum(axis=0).max()}"
        assert row["fan-out"] == f"{pattern.sum(axis=1).min()} to {pattern.sum(axis=1).max()}"
    assert f"{sum(int(row['synapses']) for row in rows):,} synapses" in text


def pattern_of(projection, network):
    """Return the (n_source, n_target) matrix of what is connected."""
    shape = projection.geometry.weights_shape
    ones = None if shape is None else np.ones(shape)
    ends = (network[projection.source].size, network[projection.target].size)
    return projection_matrix(projection, ones, *ends).astype(int)


def test_populations_are_those_of_the_network(described):
    network, settings, text, _ = described
    rows = table_with(text, "name", "kind")
    assert [row["name"] for row in rows] == [p.name for p in network.populations]
    for row, population in zip(rows, network.populations, strict=True):
        assert int(row["neurons"]) == np.prod([int(n) for n in row["shape"].split(" x ")]) == population.bias.size
        if population.kind in ("max_pool", "poisson"):
            assert row["V_thr"] == row["leak"] == row["clamped steps"] == "-"
            continue
        assert float(row["V_thr"]) == settings.threshold
        assert int(row["clamped steps"]) == min(settings.clamp * (population.depth - 1), settings.steps)
        leaks = population.kind == "spiking" or settings.readout == "spikes"
        part = leaks * (1 - np.exp(-float(settings.dt / settings.tau_m)))
        ends = [float(end) for end in row["leak"].split(" to ")]
        if len(ends) == 1:
            assert ends[0] == pytest.approx(part, 1e-9)
        else:
            assert settings.leak_mismatch and ends[0] < part < ends[1]


def test_the_order_is_that_of_the_schedule(described):
    _, settings, text, objects = described
    rows = table_with(text, "population")
    by_column = settings.schedule == "brian2"
    stages = [name for name in rows[0] if name != "population"]
    cells = (
        [rows[k][s] for s in stages for k in range(len(rows))] if by_column else [r[s] for r in rows for s in stages]
    )
    slots = list(dict.fromkeys(cell.split(":")[0] for cell in cells if cell != "-"))
    assert slots == [slot for slot in objects.network.schedule if slot in slots]
    for row, group in zip(rows, objects.groups, strict=True):
        assert (row["threshold"] == "-") == (not group.events)
        if group.events:
            assert row["threshold"] == group.thresholder["spike"].when
            assert row["reset"] == group.resetter["spike"].when


def test_the_markdown_has_no_markup_but_ours(described):
    text = described[2]
    for token in tokens(text):
        assert token.type not in ("html_block", "code_block", "bullet_list_open", "blockquote_open")
        kinds = {child.type for child in token.children or ()}
        assert kinds <= {"text", "code_inline", "softbreak", "text_special"}, token.content
    # A row of too many cells would lose some, and one of too few gain empty ones: they are as wide as their heads.
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    assert len(lines) == sum(len(rows) + 1 for rows in tables(text))
    assert {line.count("|") - 1 for line in lines} == {len(rows[0]) for rows in tables(text)}


def test_an_equation_tells_of_what_the_statements_do(described):
    _, settings, text, _ = described
    sections = re.split(r"^### ", text, flags=re.MULTILINE)[1:]
    for section, (name, blocks) in zip(sections, models(text).items(), strict=True):
        equation = section.partition("$$")[2].partition("$$")[0]
        assert section.startswith(name) and equation
        assert ("(4a)" in equation) == ("v = 0" in statements(blocks["reset"]))
        assert ("(4b)" in equation) == any(
            s.startswith(("v -= v_thr", "v -= (v_thr")) for s in statements(blocks["reset"])
        )
        assert ("l_i(t)" in equation) == ("leaked += loss" in statements(blocks["integrate"]))
        assert (r"n_{\mathrm{ref}}" in equation) == ("ready_at" in blocks["threshold"])
        assert ("w_{ij}" in equation) == ("v : 1" in blocks["equations"])
        assert ("t - d" in equation) == (settings.delay_steps > 0 and "_j" in equation)
        assert ("V(0)" in equation) == ("v : 1" in blocks["equations"] and settings.clamp > 0)


def test_every_variable_has_a_meaning(described):
    text = described[2]
    named = {row["variable"] for row in table_with(text, "variable", "symbol")}
    assert named == {name for blocks in models(text).values() for name in Equations(blocks["equations"])}
    assert all(row["meaning"] != "of its neuron model" for row in table_with(text, "variable", "symbol"))


@pytest.mark.parametrize("case", CASES)
def test_settings_that_differ_are_those_that_were_given(case):
    network = replace(variant_network(CASES[case]), grid=2.0**-24)
    text = brian_snn.describe(network, **{**CASES[case], "steps": 1})
    rows = table_with(text, "setting", "value", "default")
    assert {row["setting"] for row in rows if row["differs"]} == {*CASES[case], "steps"}
    assert next(row["value"] for row in rows if row["setting"] == "steps") == "1"


def test_the_weights_are_those_that_are_simulated():
    text = brian_snn.describe(small_network(), threshold=1.75)
    model = brian_snn.brian2(small_network(), threshold=1.75)
    weights = model.synapses["average", "out"].w[:]
    (row,) = (r for r in table_with(text, "source", "target") if (r["source"], r["target"]) == ("average", "out"))
    assert row["weights"] == f"4: {weights.min():.4g} to {weights.max():.4g}"
    # Those of a pool are all the same.
    assert [r["weights"] for r in table_with(text, "source", "target") if r["map"].startswith("max")] == ["none"]


@pytest.mark.parametrize("grouped", [False, True])
def test_fan_in_is_that_of_a_matrix_with_constant_zeros(rng, grouped):
    sizes = {"kernel_size": (3, 2), "strides": (2, 1), "padding": ((1, 1), (1, 1)), "groups": 2 if grouped else 1}
    geometry = Geometry("conv2d", (5, 4, 4), (3, 5, 6), **sizes)
    source = rng.permutation(100)[:80].astype(np.int32)
    source[rng.integers(0, 80, 9)] = -1
    projection = Projection("a", "b", geometry, np.ones(geometry.weights_shape), source, rng.permutation(90))
    expected = projection_matrix(projection, projection.weights, 100, 95).sum(axis=0)
    np.testing.assert_array_equal(fan_in(projection, 95), expected)
    plain = replace(projection, source_index=None, target_index=None)
    np.testing.assert_array_equal(fan_in(plain, 90), map_matrix(geometry, plain.weights).sum(axis=0))


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_is_text_and_no_more(name):
    network = small_network()
    plain = brian_snn.describe(network)
    rename = {"conv": name}
    populations = tuple(replace(p, name=rename.get(p.name, p.name)) for p in network.populations)
    projections = tuple(
        replace(p, source=rename.get(p.source, p.source), target=rename.get(p.target, p.target))
        for p in network.projections
    )
    forged = replace(network, populations=populations, projections=projections, provenance={name: name})
    text = brian_snn.describe(forged)
    # But for the table of the provenance the page is built as it was.
    kinds = [token.type for token in tokens(text)]
    assert kinds[: len(tokens(plain))] == [token.type for token in tokens(plain)]
    for token in tokens(text):
        children = {child.type for child in token.children or ()}
        assert children <= {"text", "code_inline", "softbreak", "text_special"}, token.content
    rows = table_with(text, "name", "kind")
    escaped = name.encode("unicode_escape").decode() if not name.isprintable() and name != "end\\" else name
    escaped = escaped.replace("`", r"\x60").replace("|", r"\x7c")
    assert rows[0]["name"].strip("'" if escaped != escaped.strip() or not escaped else "") == escaped
    assert [len(row) for rows in tables(text) for row in rows] == [len(rows[0]) for rows in tables(text) for _ in rows]
    assert all(c.isprintable() or c == "\n" for c in text)
    # Whatever looks like an address stands in code, where no renderer makes a link of it.
    prose = "".join(c.content for t in tokens(text) for c in t.children or () if c.type == "text")
    assert "example.org" not in prose and "<img" not in prose


def test_a_network_that_asks_for_settings_is_described_with_them(tmp_path, capsys):
    network = replace(small_network(), simulation={"reset": "zero", "steps": 30, "dt_s": 5e-4})
    network.save(tmp_path / "net.npz")
    assert brian_snn.describe(network) == brian_snn.describe(small_network(), reset="zero", steps=30, dt=0.5 * ms)
    assert main(["describe", str(tmp_path / "net.npz")]) == 0
    assert capsys.readouterr().out == brian_snn.describe(network)
    assert main(["describe", str(tmp_path / "net.npz"), "--reset", "subtraction", "--clamp", "2"]) == 0
    assert capsys.readouterr().out == brian_snn.describe(network, reset="subtraction", clamp=2)


def test_the_command_writes_a_file_once(tmp_path, capsys):
    network, page = tmp_path / "net.npz", tmp_path / "model.md"
    small_network().save(network)
    command = ["describe", str(network), "--steps", "7", "-o", str(page)]
    assert main(command) == 0
    assert page.read_text("utf-8") == brian_snn.describe(small_network(), steps=7)
    page.write_text("mine")
    assert "exists already" in fails_cleanly(capsys, command, page)
    assert page.read_text() == "mine"
    assert main([*command, "--force"]) == 0
    assert page.read_text("utf-8") == brian_snn.describe(small_network(), steps=7)


def test_what_cannot_be_simulated_is_not_described(tmp_path, capsys):
    with pytest.raises(OptionError, match="did you mean steps"):
        brian_snn.describe(small_network(), stepps=3)
    with pytest.raises(SettingError, match="it must be a Settings"):
        brian_snn.describe(small_network(), {"steps": 3})
    with pytest.raises(ModelError, match="grid is 0"):
        brian_snn.describe(replace(small_network(), grid=0.0))
    small_network().save(tmp_path / "net.npz")
    error = fails_cleanly(capsys, ["describe", tmp_path / "net.npz", "--reset", "none"], tmp_path / "x.md")
    assert "reset is 'none'" in error


def test_the_page_of_the_guide_shows_what_the_command_prints(tmp_path, capsys):
    data = Path(brian_snn.__file__).parent / "data"
    digits = np.load(data / "demo_digits.npz")
    brian_snn.convert(data / "demo_cnn.keras", digits["x_norm"]).save(tmp_path / "network.npz")
    assert main(["describe", f"{tmp_path}/network.npz"]) == 0
    printed = capsys.readouterr().out
    page = (Path(__file__).parents[1] / "docs" / "describe.md").read_text("utf-8")
    (excerpt,) = re.findall(r"````markdown\n(.*?)````", page, re.DOTALL)
    assert excerpt.count("\n## ") == 4 and excerpt in printed
