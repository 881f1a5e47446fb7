"""Print the scene in words once a second until the recording ends. Usage: watch_scene.py SOURCE [BUNDLE]"""
# ruff: noqa: T201

import sys

from earshot.runtime import Listener

with Listener(sys.argv[1], speed=4, bundle=(sys.argv[2:] or [None])[0]) as listener:
    while not listener.wait(timeout_s=0.25):
        scene = listener.scene
        print(f"{scene.time_s:5.1f} s  {scene.state}: {'; '.join(scene.lines()) or 'nothing'}")
