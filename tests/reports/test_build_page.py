import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from tests.reports.builds import make_build, make_long_build
from zerocross.reports import build_facts
from zerocross.reports.build_comparison import verdict
from zerocross.reports.build_page import render_build, render_comparison
from zerocross.reports.build_records import Build, BuildNode, Certificate, Check, FamilyWords


class Page(HTMLParser):
    """Collects the text, the numbers with their sources, the links and the ids of a page."""

    VOID = ("meta", "link", "br")

    def __init__(self, html):
        super().__init__()
        self.numbers, self.links, self.ids, self.open, self.words = [], [], [], [], []
        self.feed(html)
        self.close()
        self.text = re.sub(r"\s+", " ", "".join(self.words))

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        if tag not in self.VOID:
            self.open.append(tag)
        if tag == "data":
            self.numbers.append((attributes["class"], float(attributes["value"]), attributes["title"]))
        self.links += [attributes[name] for name in ("href", "src") if name in attributes]
        if "id" in attributes:
            self.ids.append(attributes["id"])

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if not {"script", "style"} & set(self.open):
            self.words.append(data)
        self.words.append(" ")


def body(html):
    """Return a page without plotly's source, so that searches find the page's own text only."""
    return html[: html.rindex("</main>")] + "</main></body></html>"


@pytest.fixture(scope="module")
def pages():
    builds = {"whole": make_build(), "long": make_long_build(), "bare": Build("bare", "x")}
    return {name: body(render_build(build)) for name, build in builds.items()}


def test_every_number_of_the_records_is_there_with_its_source(pages):
    build, page = make_build(), Page(pages["whole"])
    said = {(source, value) for source, value, _ in page.numbers}
    for node in build.nodes:
        for counts in node.synthesis.values():
            assert {("synthesis", value) for value in counts.values() if value} <= said
        for counts in node.estimate_zerocross.values():
            assert {("zerocross", value) for value in counts.values() if value} <= said
        assert {("finn", value) for value in node.estimate_finn.values() if value} <= said
        for source, cycles in (("zerocross", node.ii_estimate), ("simulation", node.ii_measured)):
            assert cycles is None or (source, cycles) in said
        assert node.fifo_peak is None or ("simulation", node.fifo_peak) in said
    for use in build.utilisation:
        assert {(use.source, use.used), ("given", use.available)} <= said
    timing = build.timing
    assert {("simulation", timing.ii_measured), ("simulation", timing.latency_measured)} <= said
    assert {("zerocross", timing.ii_estimate), ("zerocross", timing.latency_estimate)} <= said
    assert {("routing", timing.fmax_mhz), ("routing", timing.slack_ns)} <= said
    assert {("comparison", 0.0)} <= said


def test_every_title_names_the_tool(pages):
    tools = {"synthesis": "Yosys 0.70", "routing": "nextpnr-ecp5 0.11", "simulation": "Verilator 5.48"}
    tools |= {"finn": "FINN's models", "zerocross": "zerocross' models"}
    for source, _, title in Page(pages["whole"]).numbers:
        assert tools.get(source, "") in title
    # FINN counts 6-input LUTs even if the target's have 4 inputs
    assert all("LUT4" not in t for s, _, t in Page(pages["whole"]).numbers if s == "finn")


def test_the_page_has_all_parts_of_a_build(pages):
    text = Page(pages["whole"]).text
    for part in (
        "All forms agree on 360 images; the netlist was compared on 50",
        "integer network",
        "under random stalls",
        "PE 8 · SIMD 16, block",
        "slowest",
        "FIFO 32 (≤9)",
        "fc1_product.sum -> fc1_crossings.compare, 9 levels",
        "LUT4, ECP5",
        "LUT6, 7-series",
        "Power is not estimated",
        "1 min 53 s",
        "Vivado is not installed",
        "design.bit",
        "mul(sin(x), sigmoid(x))",
        "92.78% of 360 images",
        "nextpnr-ecp5 0.11",
    ):
        assert part in text, part


def test_ratios_are_over_the_nodes_that_have_both(pages):
    text = Page(pages["whole"]).text
    assert "958 \u00d72.50" in text  # FINN's estimate for fc1 on 7-series
    assert "652 \u00d71.04" in text  # ours on ECP5; it includes the FIFO's 9 / 11


def test_links_lead_to_the_builds_files_and_nowhere_else(pages):
    links = [link for link in Page(pages["whole"]).links if not link.startswith("#")]
    assert links == ["data:,", "design.bit", "rtl/top.sv", "logs/simulation.log"]
    for page in pages.values():
        assert "url(" not in page
        assert "http" not in page.replace("http-equiv", "")


def test_ids_are_unique_and_figures_are_json(pages):
    for page in pages.values():
        ids = Page(page).ids
        assert len(ids) == len(set(ids))
        for figure in re.findall(r'<script type="application/json">(.*?)</script>', page):
            json.loads(figure)
    assert len(re.findall("application/json", pages["whole"])) == 1


def test_missing_values_are_named_and_never_zero(pages):
    page = Page(pages["bare"])
    assert page.numbers == []
    for part in (
        "Not compared with the network",
        "No hardware nodes were recorded",
        "The resources of the part are not known",
        "not placed and routed",
        "No step was recorded",
        "No file was recorded",
    ):
        assert part in page.text, part


def test_a_build_without_routing_has_no_column_for_it():
    build = make_build(routed=None, timing=replace(make_build().timing, fmax_mhz=None, slack_ns=None))
    sources = {source for source, _, _ in Page(body(render_build(replace(build, utilisation=[])))).numbers}
    assert "routing" not in sources
    assert {"finn", "zerocross", "synthesis", "simulation"} <= sources


def test_a_long_design_draws_only_what_works(pages):
    build, page = make_long_build(), Page(pages["long"])
    boxes = len(re.findall(r'<li class="box', pages["long"]))
    assert boxes == sum(node.kind not in ("fifo", "converter") for node in build.nodes) > 30
    assert pages["long"].count('class="box slowest"') == 1
    assert "from conv4_pool" in page.text
    assert "FIFO 128" in page.text
    assert "state-failed" in pages["long"]
    assert 'class="meter full"' in pages["long"]
    assert "Fold more: a target of 150000 cycles" in page.text
    assert f"{len(build.nodes)} hardware nodes" in page.text


def test_differences_are_not_hidden():
    links = [Check("torch", "QONNX", 360, "logits", 0), Check("QONNX", "RTL", 360, "classes", 7)]
    page = Page(body(render_build(make_build(certificate=Certificate("digits", links)))))
    assert ("comparison", 7.0) in {(source, value) for source, value, _ in page.numbers}
    assert "Not exact: QONNX and RTL differ in classes on 7 of 360 images" in page.text


def test_what_the_samples_exercised_is_shown_layer_by_layer():
    page = Page(body(render_build(make_build())))
    assert "Samples: 359 distinct of 360, all 10 classes" in page.text
    row = "".join(f'<td class="n">{count}</td>' for count in (64, 63, 80, 77, 70))
    assert f"<tr><th>fc1</th>{row}</tr>" in render_build(make_build())
    unmeasured = make_build(certificate=Certificate("digits", [Check("torch", "RTL", 3, "classes", 0)]))
    assert "Samples:" not in Page(body(render_build(unmeasured))).text


def test_what_a_build_holds_is_escaped():
    odd = "<b id=evil>max(x, y) & 'z'</b>"
    fields = ("name", "network", "run", "expression", "topology", "board", "part", "created")
    node = replace(make_build().nodes[1], name=odd, layer=odd, note=odd, implementation=odd, reads=[odd])
    build = make_build(
        **dict.fromkeys(fields, odd),
        nodes=[node],
        hints=[odd],
        load=odd,
        left_out=[odd],
        files={odd: odd},
        choices={odd: odd},
        trained=[odd],
        tools={"synthesis": odd, "routing": odd, "simulation": odd},
        certificate=Certificate(odd, [Check(odd, odd, 3, odd, 0, odd)]),
    )
    page = body(render_build(build))
    assert "<b id" not in page
    assert page.count("&lt;b id=evil&gt;") > 15
    assert "<b id" not in body(render_comparison([build, build]))


def test_builds_side_by_side():
    builds = [make_build(), make_long_build(), Build("bare", "x")]
    html = body(render_comparison(builds))
    page = Page(html)
    said = {(source, value) for source, value, _ in page.numbers}
    assert {("synthesis", 2411.0), ("routing", 2417.0), ("routing", 61.93), ("simulation", 66.0)} <= said
    assert ("zerocross", 73728.0) in said
    for build in builds:
        assert build.name in page.text
    assert "LUT6, FINN's estimate" in page.text
    assert len(re.findall("application/json", html)) == 1
    # a row has a cell for each build
    rows = re.findall(r"<tr><th[^>]*>.*?</tr>", html[html.index("<tbody>") :], re.DOTALL)
    assert rows
    assert {row.count("<td") for row in rows} == {3}


def test_nothing_to_compare_is_a_page_too():
    assert "1 build side by side" in Page(body(render_comparison([Build("bare", "x")]))).text


def test_counts_of_another_family_have_their_own_columns():
    node = BuildNode("a", "a", "product", synthesis={"ice40": {"lut": 5, "bram": 2}})
    words = {"ice40": FamilyWords("iCE40", "LUT4", "EBR (4 kbit)")}
    page = Page(body(render_build(Build("b", "x", family="ice40", words=words, nodes=[node]))))
    assert "EBR (4 kbit), iCE40" in page.text
    assert "LUT4, iCE40" in page.text


def test_a_routed_column_is_headed_with_what_nextpnr_counts():
    node = BuildNode("a", "a", "product", synthesis={"ice40": {"lut": 5}}, routed={"lut": 8})
    words = {"ice40": FamilyWords("iCE40", "LUT4", "EBR (4 kbit)", "logic cells")}
    build = Build("b", "x", family="ice40", words=words, nodes=[node], routed={"lut": 9})
    html = body(render_build(build))
    assert "logic cells,<br>" in html
    assert build_facts.unit(build, "lut", source="synthesis") == "LUT4"
    assert build_facts.unit(build, "lut", source="routing") == "logic cells"


def test_the_page_of_a_file_says_so_and_names_its_dropped_outputs():
    made = make_build()
    assert "trained network, 360 images" in render_build(made)
    page = render_build(replace(made, trained=[], dropped=["aux", "scale"]))
    assert "network of the file, 360 images" in page and "trained network" not in page
    assert "outputs aux, scale: not computed by the hardware" in page


def test_the_fastest_is_so_at_a_clock_at_which_it_works():
    timing = replace(make_build().timing, slack_ns=None, timed_after="synthesis")
    slow, fast = (
        make_build(name=name, clock_mhz=50.0, timing=replace(timing, fmax_mhz=fmax))
        for name, fmax in (("slow", 10.0), ("fast", 20.0))
    )
    assert "fast is the fastest" in verdict([slow, fast])


def test_a_comparison_begins_with_its_verdict():
    whole, other = make_build(name="one"), make_build(name="two")
    page = Page(body(render_comparison([whole, other]))).text
    verdicts = page.index("Verdicts")
    assert "No fault was found in these 2 builds." in page[:verdicts] and verdicts < page.index("Numbers")
    faster = replace(other, timing=replace(other.timing, ii_measured=1))
    assert "two is the fastest, with" in verdict([whole, faster])
    wrong = replace(
        other,
        certificate=replace(whole.certificate, checks=[replace(whole.certificate.checks[0], differences=2)]),
    )
    assert verdict([whole, wrong]) == "1 of 2 builds has a fault: two."


def test_sizes_are_compared_after_one_step():
    whole, small = make_build(name="whole"), make_build(name="small")
    small = replace(small, routed={**(small.routed or {}), "lut": 2000})
    unrouted = replace(
        make_build(name="unrouted"), routed=None, nodes=[replace(n, routed={}) for n in whole.nodes]
    )
    text = verdict([whole, small, unrouted])
    assert "LUT4 after synthesis." in text and "with such a count" not in text
    assert "small is the smallest on ECP5, with 2,000 LUT4 after routing." in verdict([whole, small])
    guessed = replace(whole, timing=replace(whole.timing, ii_measured=None, ii_estimate=1))
    assert "images a second (estimated)" in verdict([guessed, small])


def test_a_violation_of_hold_is_a_fault():
    build = make_build(name="early")
    early = replace(
        build, timing=replace(build.timing, violated=("hold by 0.41 ns, which no slower clock mends",))
    )
    assert "early" in verdict([early, build]) and "1 of 2 builds has a fault: early." in verdict(
        [early, build]
    )
    text = Page(body(render_build(early))).text
    assert "all the same" in build_facts.load_words(early) and "all the same" not in build_facts.load_words(
        build
    )
    assert "Violates hold by 0.41 ns, which no slower clock mends. Meets 50 MHz" in text


def test_what_is_around_the_layers_is_a_row_of_the_table():
    build = make_build()
    nodes = [replace(node, routed={"lut": 10}) for node in build.nodes]
    page = render_build(replace(build, nodes=nodes, routed={"lut": 10 * len(nodes) + 77}))
    row = page.partition("<th>around the layers</th>")[2].partition("</tr>")[0]
    assert ">77<" in row
    assert "around the layers" not in render_build(
        replace(build, nodes=nodes, routed={"lut": 10 * len(nodes)})
    )
