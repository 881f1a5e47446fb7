"""The listener for other software and for the browser: HTTP, a WebSocket and one page (extra: web).

What comes from outside is judged here and nowhere else: who may ask (`access`), how much and how often (`settings`,
`rates`, `protocols`), and what it may say (`bodies`). The hearing never waits for anything in this package.
"""
