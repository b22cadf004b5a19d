import base64
import gzip
import html
import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from plotly.offline import get_plotlyjs_version

from tests.reports.builds import make_build
from zerocross.reports import figure_front, pages, summary
from zerocross.reports.build_page import render_build, render_comparison
from zerocross.reports.build_storage import save_build
from zerocross.reports.figure_curves import curves
from zerocross.reports.page import render
from zerocross.reports.pages import figure_page
from zerocross.reports.run_builds import BuildLink, builds_of
from zerocross.reports.run_comparison import compare_runs, render_runs


@pytest.fixture(scope="module")
def body():
    """Return a function that renders a page without plotly's source, so that searches find the page's own text only."""

    def render_body(run):
        page = render(run)
        return page[: page.rindex("</main>")]

    return render_body


def text_of(body):
    plain = re.sub(r"<(script|style).*?</\1>", " ", body, flags=re.DOTALL)
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", plain)))


def test_page_has_all_parts_of_a_run(make_run, body):
    run = make_run(120, front=3)
    page = body(run)
    text = text_of(page)
    for part in (
        run.name,
        run.description,
        run.verdict,
        "2 min 31 s",
        "nsga2",
        "The test set was read at the end",
        "nothing was synthesised",
        "our estimate",
        "FINN's estimate",
        "0 differences",
        "the part has 5,280",
        "finn-plus",
        "note: a < b & 'c'",
    ):
        assert part in text, part
    for finalist in run.front:
        assert finalist.build in text
        assert finalist.weights in text
        assert f'href="#network-{finalist.id}"' in page
        assert page.count(f'id="network-{finalist.id}"') == 1


def test_page_refers_to_nothing_outside_itself(make_run, body):
    page = body(make_run(60, front=2))
    assert not re.findall(r"""(?:src|href)=["'](?!#|data:)""", page)
    assert "url(" not in page
    assert "http://" not in page
    assert "https://" not in page


def test_pages_are_small(make_run):
    made = {
        "long": render(make_run(1500, front=12)),
        "run": render(make_run(400, front=12)),
        "build": render_build(make_build()),
        "builds": render_comparison([make_build(), make_build(name="other")]),
        "runs": render_runs(compare_runs({"a": make_run(60), "b": make_run(80)})),
        "figure": figure_page("a curve", curves(make_run(60, front=1).front[0].sites[0])),
    }
    sizes = {name: len(page.encode()) for name, page in made.items()}
    assert max(sizes.values()) < 1_500_000, sizes
    assert max(sizes[name] for name in ("build", "builds", "runs", "figure")) < 800_000, sizes


def test_the_bundle_draws_all_kinds_of_figures_that_pages_hold():
    types, used = {"scatter", "bar", "heatmap"}, set()
    for path in Path(figure_front.__file__).parent.glob("*.py"):
        used |= set(re.findall(r'"type": "([a-z0-9]+)"[,}]', path.read_text()))
    assert used - {"log", "linear"} == types
    script = gzip.decompress(base64.b64decode(pages.plotly_script())).decode("utf-8")
    assert f"plotly.js (cartesian - minified) v{get_plotlyjs_version()}" in script[:200]
    assert all(re.search(rf'name:"{name}"', script) for name in types)


def test_one_network_is_open_and_builds_are_linked(make_run):
    run = make_run(120, front=3)
    page = render(run, [BuildLink("one", "builds/one/report.html", "Fits")])
    opened = re.findall(r'<details class="network" id="network-([^"]*)"[^>]* open>', page)
    assert opened == [summary.knee(run.front, run.objectives).id]
    assert page.count('<details class="network"') == 3
    assert '<a href="builds/one/report.html">one</a>' in page
    for target in re.findall(r'<li><a href="#([^"]+)">', page):
        assert f'id="{target}"' in page, target


def test_words_are_explained_where_they_stand(make_run):
    for page in (render(make_run(60, front=1)), render_build(make_build())):
        targets = re.findall(r'popovertarget="([^"]+)"', page)
        assert {"word-ii", "word-pe", "word-simd", "word-our-estimate", "word-finn-s-estimate"} <= set(
            targets
        )
        assert all(page.count(f'id="{target}"') == 1 for target in targets)


def test_the_builds_of_a_run(tmp_path, make_run):
    for name in ("b", "a", "no page", "damaged"):
        folder = tmp_path / "builds" / name
        folder.mkdir(parents=True)
        save_build(make_build(name=name), folder)
        if name != "no page":
            (folder / "report.html").write_text("x")
    (tmp_path / "builds" / "damaged" / "build.json").write_text("{")
    run = make_run(8, front=1)
    found = builds_of(tmp_path, run)
    assert [(link.name, link.page) for link in found] == [
        ("a", "builds/a/report.html"),
        ("b", "builds/b/report.html"),
    ]
    assert found[0].state and builds_of(tmp_path / "none", run) == []


def test_a_build_of_an_earlier_configuration_is_marked(tmp_path, make_run):
    run = make_run(8, front=1)
    folder, own = tmp_path / "builds" / "a", tmp_path / run.front[0].weights
    folder.mkdir(parents=True)
    own.parent.mkdir(exist_ok=True)
    save_build(make_build(name="a", network=run.front[0].id), folder)
    (folder / "report.html").write_text("x")
    for text, is_marked in (("as built", False), ("of another training", True)):
        own.write_text(text)
        (folder / "weights.safetensors").write_text("as built")
        (link,) = builds_of(tmp_path, run)
        assert link.state.startswith("Of other weights than those of this page") == is_marked


def test_every_figure_is_json_without_a_tag(make_run, body):
    found = re.findall(r'<script type="application/json">(.*?)</script>', body(make_run(60, front=2)))
    assert len(found) > 5
    for figure in found:
        assert "<" not in figure
        json.loads(figure)


@pytest.mark.parametrize(
    "options",
    [
        {"evaluations": 0, "finished": False},
        {"evaluations": 40, "finished": False},
        {"evaluations": 60, "seeds": 0, "front": 2},
        {"evaluations": 60, "seeds": 1, "front": 2},
        {"evaluations": 60, "per_layer": True, "front": 2},
        {"evaluations": 60, "objectives": ("error",), "front": 2},
        {"evaluations": 60, "objectives": ("lut", "latency"), "front": 2},
        {"evaluations": 5000, "front": 2},
    ],
    ids=str,
)
def test_page_of_any_run(make_run, body, options):
    run = make_run(**options)
    text = text_of(body(run))
    assert ("The search has not finished" in text) == (not run.finished)
    if run.front:
        assert "Networks" in text
    if options.get("seeds") == 1:
        assert "1 seed, no spread" in text
    if options.get("seeds") == 0:
        assert "0 seeds" in text


def test_a_finished_run_with_an_empty_front(make_run, body):
    run = make_run(20)
    failed = [replace(e, status="failed", reason="out of memory", metrics={}) for e in run.evaluations]
    text = text_of(body(replace(run, evaluations=failed, front=[], references=[])))
    assert "The front is empty" in text
    assert "20 failed out of memory" in text


def test_records_with_nothing_in_them(make_run, body):
    run = make_run(30, front=1)
    bare = replace(
        run.front[0], metrics={}, finn={}, nodes=[], sites=[], agreement={}, seeds=[], validation=[], test=[]
    )
    text = text_of(body(replace(run, front=[bare], references=[])))
    assert "not compared" in text
    assert "No activation layer was recorded" in text


def test_what_a_run_holds_is_escaped(make_run, body):
    run = make_run(30, front=1)
    odd = "<b id=evil>max(x, y) & 'z'</b>"
    finalist = replace(
        run.front[0],
        id="a'<&\" b",
        expression=odd,
        weights=odd,
        build=odd,
        choices={odd: odd},
        topology={odd: odd},
    )
    evaluations = [replace(e, expression=odd, reason=odd, id=odd) for e in run.evaluations]
    texts = dict.fromkeys(("name", "description", "verdict", "strategy"), odd)
    run = replace(run, front=[finalist], evaluations=evaluations, **texts)
    page = body(replace(run, config={odd: odd}, versions={odd: odd}))
    assert "<b id" not in page
    assert page.count("&lt;b id=evil&gt;") > 12


def test_differences_from_the_tables_are_not_hidden(make_run, body):
    run = make_run(30, front=1)
    bad = replace(run.front[0], agreement={"images": 10, "bits": 1000, "differences": 3})
    assert "agree on 997 bits over 10 images, 3 differences" in text_of(body(replace(run, front=[bad])))


def test_records_import_nothing_heavy():
    heavy = "('plotly', 'pymoo', 'jinja2', 'torch')"
    code = f"import sys, zerocross.reports.records; print([m for m in {heavy} if m in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_a_front_that_was_cut_is_counted(body, make_run):
    run = make_run()
    whole = {evaluation.id for evaluation in summary.search_front(run)}
    kept = [net for net in run.front if net.id in whole]
    assert 1 < len(kept) < len(whole)
    assert f"<dd>{len(kept)} of {len(whole)}</dd>" in body(replace(run, front=kept))
    alone = [evaluation for evaluation in run.evaluations if evaluation.id in {net.id for net in kept}]
    assert f"<dd>{len(kept)}</dd>" in body(replace(run, front=kept, evaluations=alone))


def test_an_activation_that_is_a_threshold_is_marked(body, make_run):
    run, mark = make_run(), "a threshold in every channel"
    net = next(net for net in run.front if not net.reference and max(net.sites[0].crossings) > 1)
    assert mark not in body(replace(run, front=[net]))
    sites = [replace(site, crossings=[count % 2 for count in site.crossings]) for site in net.sites]
    assert body(replace(run, front=[replace(net, sites=sites)])).count(mark) == 1
