"""What the tests of pages share: a browser without a screen, and what a reader does in it."""

from __future__ import annotations

import json
import pathlib
import shutil
import unittest

from common import OneLine


def browser_or_skip():
    """A Chromium without a window, and what selenium finds elements and presses keys by."""
    try:
        from selenium import webdriver  # noqa: PLC0415
        from selenium.webdriver.chrome.service import Service  # noqa: PLC0415
    except ImportError as error:
        raise unittest.SkipTest(f"no selenium: {error}") from error
    chromium, driver = shutil.which("chromium") or shutil.which("google-chrome"), shutil.which("chromedriver")
    if chromium is None or driver is None:
        raise unittest.SkipTest("no Chromium or no chromedriver")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for argument in ("--no-sandbox", "--headless=new", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    return webdriver.Chrome(options=options, service=Service(driver))


class BrowserCase(OneLine):
    """`self.browser` of a class; each test ends with a page that nothing failed in and that asked for nothing else."""

    @classmethod
    def setUpClass(cls) -> None:
        cls.browser = browser_or_skip()
        cls.addClassCleanup(cls.browser.quit)

    def tearDown(self) -> None:
        """Nothing failed in the page, and nothing but the page was asked for."""
        errors = [entry for entry in self.browser.get_log("browser") if entry["level"] == "SEVERE"]
        self.assertEqual(errors, [])
        messages = [json.loads(entry["message"])["message"] for entry in self.browser.get_log("performance")]
        asked = {message["params"]["request"]["url"] for message in messages
                 if message["method"] == "Network.requestWillBeSent"}
        self.assertEqual({url for url in asked if not url.startswith(("file:", "data:", "chrome:", "about:"))}, set())

    def open(self, page: pathlib.Path, width: int = 1280, scheme: str = "light") -> None:
        self.browser.execute_cdp_cmd("Emulation.setEmulatedMedia",
                                     {"features": [{"name": "prefers-color-scheme", "value": scheme}]})
        self.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride",
                                     {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False})
        self.browser.get(page.as_uri())
        self.browser.execute_script("sessionStorage.clear()")
        self.browser.get(page.as_uri())

    def all(self, css: str) -> list:
        return self.browser.find_elements("css selector", css)

    def one(self, css: str):
        return self.browser.find_element("css selector", css)

    def text_of(self, css: str) -> str:
        """Also of what is folded away."""
        return self.one(css).get_attribute("textContent")

    def keys(self, *keys: str) -> None:
        from selenium.webdriver import ActionChains  # noqa: PLC0415
        ActionChains(self.browser).send_keys(*keys).perform()

    def choose(self, section: str, value: str) -> None:
        self.click(self.one(f"#{section} input[value={value}]").find_element("xpath", ".."))

    def click(self, element) -> None:
        """Where the bar of sections, which stays on top, does not cover it."""
        self.browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", element)
        element.click()

    def choose_data(self, word: str) -> None:
        for option in self.all("#results select option"):
            if option.text.startswith(word):
                option.click()

    def column(self, section: str, key: str) -> list[str]:
        """The texts of a column of the section's first table, row by row, by a word of its header."""
        return self.browser.execute_script("""
            const table = document.querySelector(`#${arguments[0]} table`);
            const heads = [...table.querySelectorAll("thead tr:last-child th")];
            const at = heads.findIndex((head) => head.textContent.includes(arguments[1]));
            return [...table.querySelectorAll("tbody tr")].map((row) => row.children[at].textContent);""", section, key)

    def header(self, section: str, word: str):
        return next(button for button in self.all(f"#{section} thead th button") if word in button.text)
