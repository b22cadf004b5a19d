"""The pages of builds in a real browser, like those of runs in `test_page_browser.py`."""

import pytest

from tests.reports.builds import make_build, make_long_build
from tests.reports.test_page_browser import ARGUMENTS, TABLES_ARE_WHOLE, draw_all, find_chromium, wait_until
from zerocross.reports.build_page import render_build, render_comparison
from zerocross.reports.build_records import Build

sync_api = pytest.importorskip("playwright.sync_api")

PAGES = {
    "whole": lambda: render_build(make_build()),
    "long": lambda: render_build(make_long_build()),
    "bare": lambda: render_build(Build("bare", "x")),
    "endless words": lambda: render_build(
        make_build(
            name="n" * 90,
            expression="mul(" * 40 + "x",
            hints=["h" * 200],
            load="openFPGALoader -b " + "l/" * 90,
            left_out=["l" * 200],
            files={"f" * 60: "p" * 90},
        )
    ),
    "comparison": lambda: render_comparison([make_build(), make_long_build(), Build("bare", "x")]),
}


@pytest.fixture(scope="module")
def browser():
    path = find_chromium()
    if path is None:
        pytest.skip("no chromium on the path, and ZEROCROSS_CHROMIUM names none")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser, tmp_path):
    """Opens a page; at the end checks that it fetched nothing and raised no error."""
    complaints, requests, pages = [], [], []

    def open_html(html, width=1280, **options):
        path = tmp_path / "build.html"
        path.write_text(html, encoding="utf-8")
        page = browser.new_page(viewport={"width": width, "height": 900}, **options)
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: requests.append(request.url))
        page.goto(path.as_uri())
        draw_all(page)
        pages.append(page)
        return page

    yield open_html
    for page in pages:
        page.close()
    assert complaints == []
    assert {url.rpartition("/")[2] for url in requests if not url.startswith(("data:", "blob:"))} == {
        "build.html"
    }


@pytest.mark.parametrize("name", PAGES)
def test_no_page_scrolls_sideways(name, open_page):
    page = open_page(PAGES[name]())
    page.evaluate("document.querySelectorAll('details').forEach((d) => (d.open = true))")
    for width in (1280, 390):
        page.set_viewport_size({"width": width, "height": 900})
        wait_until(page, f"document.documentElement.scrollWidth <= {width}")
        wait_until(page, f"({TABLES_ARE_WHOLE})()")


def test_the_menu_changes_family_and_resource(open_page):
    page = open_page(PAGES["whole"]())
    traces = (
        "() => document.querySelector('.js-plotly-plot').data.filter((t) => t.visible).map((t) => t.name)"
    )
    assert page.evaluate(traces) == ["our estimate", "synthesis"]
    page.select_option("#resources select", label="LUT6, 7-series")
    wait_until(page, "document.querySelector('#resources .xtitle').textContent === 'LUT6, 7-series'")
    assert page.evaluate(traces) == ["FINN's estimate", "our estimate", "synthesis"]


def test_the_stream_wraps_and_no_box_is_cut(open_page):
    page = open_page(PAGES["long"]())
    rows, wide = page.evaluate(
        """() => {
          const boxes = [...document.querySelectorAll('.flow .box')];
          return [new Set(boxes.map((b) => b.offsetTop)).size, boxes.every((b) => b.scrollWidth <= b.offsetWidth)];
        }"""
    )
    assert rows > 4
    assert wide


def test_dark_mode_has_light_text(open_page):
    page = open_page(PAGES["whole"](), color_scheme="dark")
    lightness = """(selector) => getComputedStyle(document.querySelector(selector)).color
      .match(/[0-9.]+/g).slice(0, 3).map(Number).reduce((a, b) => a + b) / 3"""
    for selector in (".verdicts li", ".chain .form", ".flow .box b", "table.layers td data"):
        assert page.evaluate(lightness, selector) > 150
