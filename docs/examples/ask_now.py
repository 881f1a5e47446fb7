"""Hear a recording as if it were live, tell what happens, then ask. Usage: ask_now.py FILE QUESTION [BUNDLE]"""
# ruff: noqa: T201

import sys

from earshot.runtime import Listener

with Listener(sys.argv[1], speed=20, bundle=(sys.argv[3:] or [None])[0]) as listener:
    for change in listener.changes():
        print(f"{change.time_s:5.1f} s  {change.kind:<5}  {change.track.label}, {change.track.azimuth_deg:.0f} degrees")
    print(listener.ask(sys.argv[2]).text)
