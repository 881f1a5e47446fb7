"""Print an answer word by word, with its evidence; Ctrl-C cancels it. Usage: stream_answer.py FILE QUESTION [BUNDLE]"""
# ruff: noqa: T201

import sys

from earshot.runtime import Listener

with Listener(sys.argv[1], speed=20, bundle=(sys.argv[3:] or [None])[0]) as listener:
    listener.wait()
    question = listener.submit(sys.argv[2], on_text=lambda text: print(text, end="", flush=True))
    try:
        answer = question.result().answer
    except KeyboardInterrupt:
        listener.cancel(question)
    else:
        print(f"\nfirst token after {answer.first_token_s:.3f} s, whole answer after {answer.answer_s:.3f} s")
