"""The tabs of the page. To add one: a file with ``TITLE`` and ``build(page)``, and its name in the tuple below."""

from __future__ import annotations

from segdemo.ui.tabs import labs, live, look, networks, why

TABS = (look, why, labs, live, networks)
