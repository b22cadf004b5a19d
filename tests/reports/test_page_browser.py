"""The page in a real browser. Needs Chromium: on the path, or named by ZEROCROSS_CHROMIUM."""

import os
import shutil
from dataclasses import replace

import pytest

from zerocross.reports.page import render

sync_api = pytest.importorskip("playwright.sync_api")

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]


def find_chromium():
    names = (os.environ.get("ZEROCROSS_CHROMIUM"), "chromium", "chromium-browser", "google-chrome")
    return next((path for name in names if name and (path := shutil.which(name))), None)


@pytest.fixture(scope="module")
def browser():
    path = find_chromium()
    if path is None:
        missing = "no chromium on the path, and ZEROCROSS_CHROMIUM names none"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(missing)
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser, tmp_path):
    """Opens a run's report; at the end checks that it fetched nothing and raised no error."""
    complaints, requests, pages = [], [], []

    def open_report(run, width=1280, **options):
        path = tmp_path / "report.html"
        path.write_text(render(run), encoding="utf-8")
        page = browser.new_page(viewport={"width": width, "height": 900}, **options)
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: requests.append(request.url))
        page.goto(path.as_uri())
        wait_until(
            page, "!document.querySelector('.figure') || document.querySelector('.figure[data-drawn]')"
        )
        pages.append((page, path.as_uri()))
        return page

    yield open_report
    for page, _ in pages:
        draw_all(page)
        page.close()
    assert complaints == []
    outside = [url for url in requests if not url.startswith(("data:", "blob:")) and url != pages[0][1]]
    assert outside == []


def wait_until(page, expression):
    """Wait without Playwright's wait_for_function, which needs eval: the page's policy forbids it."""
    for _ in range(500):
        if page.evaluate(expression):
            return
        page.wait_for_timeout(20)
    pytest.fail(f"never became true: {expression}")


TABLES_ARE_WHOLE = """() => [...document.querySelectorAll('table')].filter((t) => t.clientWidth).every((table) => {
  const box = table.parentElement.getBoundingClientRect();
  return [...table.querySelectorAll('td, th')].filter((cell) => cell.offsetWidth).every((cell) => {
    const {left, right} = cell.getBoundingClientRect();
    const text = document.createRange();
    text.selectNodeContents(cell);
    const inner = text.getBoundingClientRect();
    return left >= box.left - 1 && Math.max(right, inner.right) <= box.right + 1;
  });
})"""
"""Whether every cell of every open table is inside its box, with its text."""


def unfold(page):
    page.evaluate("document.querySelectorAll('details').forEach((d) => (d.open = true))")


def draw_all(page):
    page.evaluate("document.querySelectorAll('.figure').forEach(draw)")
    wait_until(page, "!document.querySelector('.figure:not([data-drawn])')")


def position_on_front(page, index):
    """Return the position of a front point on the screen, from plotly's own axes."""
    return page.evaluate(
        """(index) => {
          const plot = document.querySelector('#front .js-plotly-plot');
          plot.scrollIntoView({block: 'center'});
          const trace = plot.data.findIndex((t) => (t.name || '').startsWith('front'));
          const {xaxis, yaxis} = plot._fullLayout, box = plot.getBoundingClientRect();
          const {x, y, hovertext, customdata} = plot.data[trace];
          return {x: box.left + xaxis._offset + xaxis.d2p(x[index]),
                  y: box.top + yaxis._offset + yaxis.d2p(y[index]),
                  id: customdata[index], text: hovertext[index]};
        }""",
        index,
    )


def test_hovering_a_front_point_shows_its_expression(make_run, open_page):
    run = make_run(150, front=4)
    page = open_page(run)
    place = position_on_front(page, 0)
    page.mouse.move(place["x"] - 60, place["y"])
    page.mouse.move(place["x"], place["y"], steps=4)
    page.wait_for_selector("#front .hoverlayer .hovertext")
    shown = page.text_content("#front .hoverlayer") or ""
    expression = next(f.expression for f in run.front if f.id == place["id"])
    assert expression.split("(")[0] in shown
    assert place["id"] in shown


def test_clicking_a_front_point_goes_to_its_network(make_run, open_page):
    page = open_page(make_run(150, front=4))
    place = position_on_front(page, 0)
    page.mouse.click(place["x"], place["y"])
    wait_until(page, f"location.hash === '#network-{place['id']}'")


def test_a_link_of_the_table_leads_to_its_network(make_run, open_page):
    run = make_run(150, front=4)
    page = open_page(run)
    last = run.front[-1].id
    page.click(f"table.front a[href='#network-{last}']")
    wait_until(
        page,
        f"Math.abs(document.getElementById('network-{last}').getBoundingClientRect().top) < innerHeight / 2",
    )


def test_the_menu_changes_the_axes(make_run, open_page):
    page = open_page(make_run(150, front=4))
    before = page.text_content("#front .xtitle")
    page.select_option("#front select", label="validation error over latency")
    wait_until(
        page, "document.querySelector('#front .xtitle').textContent === 'latency (cycles), linear scale'"
    )
    assert before == "LUT, linear scale"
    page.select_option("#front select", index=0)
    wait_until(page, "document.querySelector('#front .xtitle').textContent === 'LUT, linear scale'")


def test_the_menu_changes_the_channel(make_run, open_page):
    page = open_page(make_run(150, front=2))
    draw_all(page)
    box = page.locator("details.network[open] .figure").first
    box.locator("select").select_option(label="channel 2")
    names = "plot => plot.data.filter(t => t.visible === true && t.mode === 'lines+markers').map(t => t.name)"
    assert box.locator(".js-plotly-plot").evaluate(names) == ["channel 2"]
    box.locator("select").select_option(label="all channels shown")
    assert len(box.locator(".js-plotly-plot").evaluate(names)) == 4


def test_figures_far_away_are_drawn_on_the_way(make_run, open_page):
    page = open_page(make_run(150, front=4))
    assert page.query_selector(".figure:not([data-drawn])")
    page.locator("#accuracy .figure").scroll_into_view_if_needed()
    wait_until(page, "document.querySelector('#accuracy .figure').dataset.drawn !== undefined")


def test_a_word_is_explained_by_key_and_finger(make_run, open_page):
    page = open_page(make_run(60, front=1), width=390, has_touch=True)
    assert not page.is_visible("#word-ii")
    page.focus("table.front .word[popovertarget=word-ii] >> visible=true >> nth=0")
    page.keyboard.press("Enter")
    page.wait_for_selector("#word-ii", state="visible")
    assert "cycles from one image to the next" in page.text_content("#word-ii")
    page.keyboard.press("Escape")
    page.tap("table.front .word[popovertarget=word-lut] >> visible=true >> nth=0")
    page.wait_for_selector("#word-lut", state="visible")


def test_a_figure_that_is_drawn_while_folded_fits_when_unfolded(make_run, open_page):
    page = open_page(make_run(150, front=3))
    draw_all(page)
    unfold(page)
    widths = "[...document.querySelectorAll('.network .main-svg')].every((s) => s.clientWidth > 1000)"
    wait_until(page, widths)


@pytest.mark.parametrize(
    "options",
    [
        {"evaluations": 150, "front": 3},
        {"evaluations": 150, "front": 2, "per_layer": True},
        {"evaluations": 30, "finished": False},
        {"evaluations": 0, "finished": False},
    ],
    ids=str,
)
def test_the_page_never_scrolls_sideways(make_run, open_page, options):
    page = open_page(make_run(**options))
    draw_all(page)
    unfold(page)
    for width in (1280, 390):
        page.set_viewport_size({"width": width, "height": 900})
        wait_until(page, f"document.documentElement.scrollWidth <= {width}")
        wait_until(page, f"({TABLES_ARE_WHOLE})()")


def test_long_words_do_not_widen_the_page(make_run, open_page):
    run = make_run(60, front=1)
    long = "mul(" * 40 + "x" + ", sin(x))" * 40
    finalist = replace(run.front[0], expression=long, id="a" * 64, weights=long, build=long)
    run = replace(run, front=[finalist], name="n" * 90, verdict=long, description=long)
    page = open_page(run, 420)
    draw_all(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= 420


def test_dark_mode_has_light_text_in_figures(make_run, open_page):
    page = open_page(make_run(60, front=1), color_scheme="dark")
    lightness = """() => {
      const fill = getComputedStyle(document.querySelector('#front .xtitle')).fill;
      return fill.match(/[0-9.]+/g).slice(0, 3).map(Number).reduce((a, b) => a + b) / 3;
    }"""
    wait_until(page, f"({lightness})() > 150")
    page.emulate_media(color_scheme="light")
    wait_until(page, f"({lightness})() < 100")
